// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {StorageSlot} from "@openzeppelin/contracts/utils/StorageSlot.sol";

/// @title Hash-time-locks over the chain's coin and over ERC-20 tokens
/// @notice Holds an asset until somebody shows the preimage of a SHA-256 hash (then it goes to the
/// recipient) or a deadline passes (then anybody may send it back to the sender). Nobody owns this
/// contract, nobody can upgrade, pause or drain it.
/// @dev One storage slot for each lock: its state and the blocks in which it was opened and settled.
/// The terms are in the LockOpened event and are given again to settle; they are hashed into the
/// lock's id, so false terms name a lock that is not there. A settled id is never free again.
///
/// What is owed never exceeds what is held: a lock of tokens adds exactly its amount or reverts, a
/// settlement takes exactly its amount. The one way round the balance check of `lockToken` would be
/// another `lockToken` inside the token's own transfer, whose deposit would be counted twice; the
/// guard, which `HashTimeLockParis` and `HashTimeLockCancun` bring, forbids it. Everything else
/// changes state before it calls out.
abstract contract HashTimeLock {
    using SafeERC20 for IERC20;

    enum State {
        Absent,
        Open,
        Claimed,
        Refunded
    }

    /// @notice All that a lock says. `asset` is a token's address, or zero for the chain's own coin.
    /// No lock is opened with a deadline above 2^40 - 1.
    struct Terms {
        address sender;
        address recipient;
        address asset;
        uint256 amount;
        bytes32 hashlock;
        uint256 deadline;
    }

    /// @notice The terms of a lock with its preimage in the hashlock's place.
    struct Opening {
        address sender;
        address recipient;
        address asset;
        uint256 amount;
        bytes32 preimage;
        uint256 deadline;
    }

    /// @dev The asset of a lock of the chain's own coin.
    address private constant COIN = address(0);

    /// @dev SHA-256 of 32 zero bytes: anybody can open it.
    bytes32 private constant HASH_OF_ZEROS = 0x66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925;

    /// @dev The gas that a pushed coin brings along. Enough for a contract wallet to log and to
    /// write a word or two; a recipient that wants more finds its coin as credit.
    uint256 private constant PUSH_GAS = 50_000;

    /// @dev Above what a call with value costs by itself (EIP-2929: 2,600 + 9,000), and a margin.
    uint256 private constant CALL_GAS = 13_000;

    /// @notice Coin that could not be pushed, by the account that may withdraw it.
    mapping(address account => uint256) public creditOf;

    event LockOpened(
        bytes32 indexed lockId,
        bytes32 indexed hashlock,
        address sender,
        address recipient,
        address asset,
        uint256 amount,
        uint40 deadline
    );
    event LockClaimed(bytes32 indexed lockId, bytes32 indexed hashlock, bytes32 preimage);
    event LockRefunded(bytes32 indexed lockId, bytes32 hashlock);
    event Credited(address indexed account, uint256 amount);
    event CreditWithdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice This id is open or was settled; it can never be locked again.
    error LockExists(bytes32 lockId);
    /// @notice No lock has these terms (a wrong preimage, too, names a lock that is not there).
    error LockAbsent(bytes32 lockId);
    /// @notice The lock was claimed or refunded before.
    error LockSettled(bytes32 lockId);
    /// @notice Too late to claim, or to lock: the deadline is not in the future.
    error DeadlinePassed(uint256 deadline, uint256 blockTime);
    /// @notice Too early to refund.
    error DeadlineNotReached(uint256 deadline, uint256 blockTime);
    /// @notice Nothing was to be locked.
    error AmountZero();
    /// @notice A hashlock that anybody can open.
    error HashlockRefused(bytes32 hashlock);
    /// @notice The zero address, or this contract, cannot be paid.
    error RecipientRefused(address recipient);
    /// @notice What is at this address does not tell balances: no contract, or another kind.
    error TokenAbsent(address token);
    /// @notice The token moved another amount than was asked: it takes a fee, or it lies.
    error TokenAmountDiffers(address token, uint256 asked, uint256 received);
    /// @notice Too little gas to give the recipient its share; send the call again with more.
    error GasTooLow();
    /// @notice The account has no credit.
    error CreditAbsent(address account);
    /// @notice The coin could not be sent there; the credit stays.
    error WithdrawalFailed(address to);

    /// @notice Locks the coin that comes with the call.
    /// @param recipient who gets it for the preimage
    /// @param hashlock SHA-256 of a preimage of 32 bytes
    /// @param deadline Unix seconds: claims before it, refunds from it on
    /// @return lockId the lock's id
    function lockCoin(address recipient, bytes32 hashlock, uint40 deadline) external payable returns (bytes32 lockId) {
        return _open(recipient, COIN, msg.value, hashlock, deadline);
    }

    /// @notice Locks tokens that the caller has approved for this contract.
    /// @return lockId the lock's id
    function lockToken(address token, address recipient, uint256 amount, bytes32 hashlock, uint40 deadline)
        external
        virtual
        returns (bytes32 lockId);

    /// @dev The caller of this holds the guard.
    function _lockToken(address token, address recipient, uint256 amount, bytes32 hashlock, uint40 deadline)
        internal
        returns (bytes32 lockId)
    {
        lockId = _open(recipient, token, amount, hashlock, deadline);
        uint256 before = _held(token);
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received;
        unchecked {
            // A balance that shrinks wraps round, and differs as well.
            received = _held(token) - before;
        }
        require(received == amount, TokenAmountDiffers(token, amount, received));
    }

    /// @notice Sends a lock to its recipient. Anyone may.
    function claim(Opening calldata opening) external {
        bytes32 hashlock;
        bytes32 lockId;
        assembly ("memory-safe") {
            // As in `idOf`, the preimage replaced by its SHA-256 (precompile 2).
            let words := mload(0x40)
            mstore(words, chainid())
            mstore(add(words, 0x20), address())
            calldatacopy(add(words, 0x40), opening, 0xc0)
            let word := add(words, 0xc0)
            if iszero(staticcall(gas(), 2, word, 0x20, word, 0x20)) { revert(0, 0) }
            hashlock := mload(word)
            lockId := keccak256(words, 0x100)
        }
        uint256 deadline = opening.deadline;
        require(block.timestamp < deadline, DeadlinePassed(deadline, block.timestamp));
        _settle(lockId, State.Claimed);
        emit LockClaimed(lockId, hashlock, opening.preimage);
        _pay(opening.recipient, opening.asset, opening.amount);
    }

    /// @notice Sends a lock back to its sender, from its deadline on. Anyone may.
    /// @dev Written for a low price. The words of the call are used as they are: the lock's id covers
    /// each of them in full, so ones with stray high bits name no lock, and `_settle` reverts before
    /// any is acted on. The payment is the one of `_pay`, in place.
    function refund(Terms calldata terms) external {
        bytes32 lockId;
        assembly ("memory-safe") {
            // As in `idOf`.
            let words := mload(0x40)
            mstore(words, chainid())
            mstore(add(words, 0x20), address())
            calldatacopy(add(words, 0x40), terms, 0xc0)
            lockId := keccak256(words, 0x100)
        }
        uint256 deadline = terms.deadline;
        require(block.timestamp >= deadline, DeadlineNotReached(deadline, block.timestamp));
        _settle(lockId, State.Refunded);
        bytes32 announced = LockRefunded.selector;
        address sender;
        bool coin;
        assembly ("memory-safe") {
            // emit LockRefunded(lockId, terms.hashlock)
            mstore(0, calldataload(add(terms, 0x80)))
            log2(0, 0x20, announced, lockId)
            sender := calldataload(terms)
            coin := iszero(calldataload(add(terms, 0x40)))
        }
        if (coin) {
            uint256 gasBefore = gasleft();
            uint256 amount = terms.amount;
            bool sent;
            assembly ("memory-safe") {
                sent := call(PUSH_GAS, sender, amount, 0, 0, 0, 0)
            }
            if (!sent) _credit(sender, amount, gasBefore);
        } else {
            IERC20(terms.asset).safeTransfer(sender, terms.amount);
        }
    }

    /// @notice Takes out the caller's credit, to an address of its choice.
    function withdrawCredit(address payable to) external {
        uint256 amount = creditOf[msg.sender];
        require(amount != 0, CreditAbsent(msg.sender));
        creditOf[msg.sender] = 0;
        emit CreditWithdrawn(msg.sender, to, amount);
        (bool sent,) = to.call{value: amount}("");
        require(sent, WithdrawalFailed(to));
    }

    /// @notice Where a lock stands, and the blocks in which it was opened and settled (0: not yet).
    function lookup(bytes32 lockId) external view returns (State state, uint64 openedAt, uint64 settledAt) {
        uint256 record = _record(lockId).value;
        return (State(uint8(record)), uint64(record >> 8), uint64(record >> 72));
    }

    /// @notice The id that these terms have here: keccak256 over eight words, the chain's id, this
    /// contract's address and the terms, as `abi.encode` writes them.
    /// @dev The words are hashed as the call brought them: ones with stray high bits name no lock.
    function idOf(Terms calldata terms) external view returns (bytes32 lockId) {
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, chainid())
            mstore(add(words, 0x20), address())
            calldatacopy(add(words, 0x40), terms, 0xc0)
            lockId := keccak256(words, 0x100)
        }
    }

    function _open(address recipient, address asset, uint256 amount, bytes32 hashlock, uint40 deadline)
        private
        returns (bytes32 lockId)
    {
        require(amount != 0, AmountZero());
        require(hashlock != 0 && hashlock != HASH_OF_ZEROS, HashlockRefused(hashlock));
        require(recipient != address(0) && recipient != address(this), RecipientRefused(recipient));
        require(deadline > block.timestamp, DeadlinePassed(deadline, block.timestamp));
        assembly ("memory-safe") {
            // As in `idOf`; the caller is the sender.
            let words := mload(0x40)
            mstore(words, chainid())
            mstore(add(words, 0x20), address())
            mstore(add(words, 0x40), caller())
            mstore(add(words, 0x60), recipient)
            mstore(add(words, 0x80), asset)
            mstore(add(words, 0xa0), amount)
            mstore(add(words, 0xc0), hashlock)
            mstore(add(words, 0xe0), deadline)
            lockId := keccak256(words, 0x100)
        }
        StorageSlot.Uint256Slot storage record = _record(lockId);
        require(record.value == 0, LockExists(lockId));
        record.value = uint256(uint8(State.Open)) | uint256(uint64(block.number)) << 8;
        emit LockOpened(lockId, hashlock, msg.sender, recipient, asset, amount, deadline);
    }

    /// @dev This contract's balance. An address without code answers nothing and is refused.
    function _held(address token) private view returns (uint256 amount) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool answered;
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(4, address())
            answered := staticcall(gas(), token, 0, 0x24, 0, 0x20)
            answered := and(answered, gt(returndatasize(), 0x1f))
            amount := mload(0)
        }
        require(answered, TokenAbsent(token));
    }

    /// @dev From Open to Claimed or Refunded, once.
    function _settle(bytes32 lockId, State outcome) private {
        StorageSlot.Uint256Slot storage record = _record(lockId);
        uint256 value = record.value;
        if (uint8(value) != uint8(State.Open)) {
            require(value != 0, LockAbsent(lockId));
            revert LockSettled(lockId);
        }
        // The state's bits become the outcome's, the block of the opening stays.
        record.value = value ^ (uint256(State.Open) ^ uint256(outcome)) ^ (block.number << 72);
    }

    /// @dev From the lowest bit: State (8 bits), block of the opening (64), block of the settling (64).
    /// The block numbers let a reader find the events without a search. The id is a hash, so it
    /// serves as the slot's address as it is, as the slots of mappings do.
    function _record(bytes32 lockId) private pure returns (StorageSlot.Uint256Slot storage) {
        return StorageSlot.getUint256Slot(lockId);
    }

    /// @dev A push that fails becomes credit, so that no recipient can stop a settlement. What the
    /// recipient returns is not copied.
    function _pay(address to, address asset, uint256 amount) private {
        if (asset != COIN) {
            IERC20(asset).safeTransfer(to, amount);
            return;
        }
        uint256 gasBefore = gasleft();
        bool sent;
        assembly ("memory-safe") {
            sent := call(PUSH_GAS, to, amount, 0, 0, 0, 0)
        }
        if (!sent) _credit(to, amount, gasBefore);
    }

    /// @dev Callers may not make a push fail by sending too little gas.
    /// @param gasBefore what gas was left before the push
    function _credit(address to, uint256 amount, uint256 gasBefore) private {
        // EIP-150: all but a 64th of what is left could be passed on.
        require(gasBefore > PUSH_GAS + PUSH_GAS / 63 + CALL_GAS, GasTooLow());
        creditOf[to] += amount;
        emit Credited(to, amount);
    }
}
