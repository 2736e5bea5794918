// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HashTimeLock} from "../src/HashTimeLock.sol";
import {Locks} from "./Locks.sol";
import {PlainToken, FeeToken, SilentToken} from "tokens/TestTokens.sol";
import {Checks} from "./Vm.sol";

contract Refuser {
    receive() external payable {
        revert();
    }

    function withdraw(HashTimeLock lock, address payable to) external {
        lock.withdrawCredit(to);
    }
}

contract GasEater {
    receive() external payable {
        while (true) {}
    }
}

/// @dev Uses the moment in which it is paid to settle again.
contract Reenterer {
    HashTimeLock private immutable _lock;
    bytes public again;
    bool public tried;
    bool public worked;

    constructor(HashTimeLock lock) {
        _lock = lock;
    }

    function arm(bytes calldata call) external {
        again = call;
    }

    receive() external payable {
        tried = true;
        (worked,) = address(_lock).call(again);
    }
}

abstract contract HashTimeLockTest is Checks {
    HashTimeLock internal lock;
    PlainToken internal token;
    address internal constant SENDER = address(0xA11CE);
    address internal constant RECIPIENT = address(0xB0B);
    address internal constant STRANGER = address(0x57);

    /// @dev Hashed beforehand: Forge takes the precompile's call for the one that is to revert.
    bytes32 internal immutable HASHLOCK = sha256(abi.encode(bytes32(uint256(1))));

    function make() internal virtual returns (HashTimeLock);

    function setUp() public {
        lock = make();
        token = new PlainToken();
        token.transfer(SENDER, 1e27);
        vm.deal(SENDER, 1e27);
        vm.prank(SENDER);
        token.approve(address(lock), type(uint256).max);
    }

    function terms(address asset, uint256 amount, bytes32 preimage, uint40 deadline)
        internal
        pure
        returns (HashTimeLock.Terms memory)
    {
        return HashTimeLock.Terms(SENDER, RECIPIENT, asset, amount, sha256(abi.encode(preimage)), deadline);
    }

    function opening(HashTimeLock.Terms memory t, bytes32 preimage)
        internal
        pure
        returns (HashTimeLock.Opening memory)
    {
        return HashTimeLock.Opening(t.sender, t.recipient, t.asset, t.amount, preimage, t.deadline);
    }

    function doLock(HashTimeLock.Terms memory t) internal returns (bytes32 id) {
        vm.prank(t.sender);
        if (t.asset == address(0)) {
            return lock.lockCoin{value: t.amount}(t.recipient, t.hashlock, uint40(t.deadline));
        }
        return lock.lockToken(t.asset, t.recipient, t.amount, t.hashlock, uint40(t.deadline));
    }

    function held(address asset, address who) internal view returns (uint256) {
        return asset == address(0) ? who.balance : PlainToken(asset).balanceOf(who);
    }

    function state(bytes32 id) internal view returns (HashTimeLock.State s) {
        (s,,) = lock.lookup(id);
    }

    function later(uint256 by) internal view returns (uint40) {
        return uint40(block.timestamp + by);
    }

    // --- one lock, both assets ------------------------------------------------------------------

    function testFuzz_claimPaysRecipientOnce(bool coin, uint96 amount, bytes32 preimage, uint32 ahead, uint32 wait)
        public
    {
        vm.assume(amount != 0 && preimage != 0 && ahead != 0);
        address asset = coin ? address(0) : address(token);
        HashTimeLock.Terms memory t = terms(asset, amount % 1e27 + 1, preimage, later(ahead));
        bytes32 id = doLock(t);
        same(uint256(id), uint256(lock.idOf(t)));
        same(
            uint256(id),
            uint256(
                keccak256(
                    abi.encode(
                        block.chainid, address(lock), t.sender, t.recipient, asset, t.amount, t.hashlock, t.deadline
                    )
                )
            )
        );
        same(held(asset, address(lock)), t.amount);
        vm.warp(block.timestamp + wait % ahead);
        vm.roll(block.number + 7);
        vm.prank(STRANGER);
        lock.claim(opening(t, preimage));
        same(held(asset, RECIPIENT), t.amount);
        same(held(asset, address(lock)), 0);
        (HashTimeLock.State s, uint64 opened, uint64 settled) = lock.lookup(id);
        same(uint256(s), uint256(HashTimeLock.State.Claimed));
        same(settled - opened, 7);
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.LockSettled.selector, id));
        lock.claim(opening(t, preimage));
        vm.warp(t.deadline);
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.LockSettled.selector, id));
        lock.refund(t);
    }

    function testFuzz_refundPaysSenderOnce(bool coin, uint96 amount, bytes32 preimage, uint32 ahead, uint32 wait)
        public
    {
        vm.assume(preimage != 0 && ahead != 0);
        address asset = coin ? address(0) : address(token);
        HashTimeLock.Terms memory t = terms(asset, uint256(amount) % 1e27 + 1, preimage, later(ahead));
        uint256 before = held(asset, SENDER);
        bytes32 id = doLock(t);
        vm.warp(uint256(t.deadline) + wait);
        vm.expectPartialRevert(HashTimeLock.DeadlinePassed.selector);
        lock.claim(opening(t, preimage));
        vm.expectEmit(true, true, true, true, address(lock));
        emit HashTimeLock.LockRefunded(id, t.hashlock);
        vm.prank(STRANGER);
        lock.refund(t);
        same(held(asset, SENDER), before);
        same(held(asset, address(lock)), 0);
        same(uint256(state(id)), uint256(HashTimeLock.State.Refunded));
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.LockSettled.selector, id));
        lock.refund(t);
    }

    function test_deadlineIsExact() public {
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        doLock(t);
        vm.warp(t.deadline - 1);
        vm.expectPartialRevert(HashTimeLock.DeadlineNotReached.selector);
        lock.refund(t);
        lock.claim(opening(t, bytes32(uint256(1))));
        HashTimeLock.Terms memory u = terms(address(0), 6, bytes32(uint256(1)), later(100));
        doLock(u);
        vm.warp(u.deadline);
        vm.expectPartialRevert(HashTimeLock.DeadlinePassed.selector);
        lock.claim(opening(u, bytes32(uint256(1))));
        lock.refund(u);
    }

    function testFuzz_wrongPreimageOpensNothing(bytes32 preimage, bytes32 wrong) public {
        vm.assume(preimage != 0 && preimage != wrong);
        HashTimeLock.Terms memory t = terms(address(0), 5, preimage, later(100));
        bytes32 id = doLock(t);
        vm.expectPartialRevert(HashTimeLock.LockAbsent.selector);
        lock.claim(opening(t, wrong));
        same(uint256(state(id)), uint256(HashTimeLock.State.Open));
    }

    function testFuzz_falseTermsNameNoLock(uint8 field, uint96 with) public {
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        doLock(t);
        HashTimeLock.Terms memory f = terms(address(0), 5, bytes32(uint256(1)), later(100));
        uint256 which = field % 6;
        if (which == 0) f.sender = address(uint160(with));
        if (which == 1) f.recipient = address(uint160(with));
        if (which == 2) f.asset = address(uint160(uint256(with) + 1));
        if (which == 3) f.amount = with;
        if (which == 4) f.hashlock = bytes32(uint256(with));
        if (which == 5) f.deadline = uint40(with);
        vm.assume(keccak256(abi.encode(t)) != keccak256(abi.encode(f)));
        vm.warp(uint256(type(uint40).max));
        vm.expectPartialRevert(HashTimeLock.LockAbsent.selector);
        lock.refund(f);
    }

    /// @dev A refund reads the words of its call as they are: any other word than the lock's own,
    /// one with stray high bits too, names no lock.
    function testFuzz_strayBitsNameNoLock(bool coin, uint8 word, uint256 stray) public {
        vm.assume(stray != 0);
        HashTimeLock.Terms memory t = terms(coin ? address(0) : address(token), 5, bytes32(uint256(1)), later(100));
        bytes32 id = doLock(t);
        uint256[6] memory words = abi.decode(abi.encode(t), (uint256[6]));
        words[word % 6] ^= stray;
        vm.warp(type(uint40).max);
        (bool worked, bytes memory answer) = address(lock).call(abi.encodePacked(lock.refund.selector, words));
        bool early = words[5] > block.timestamp;
        bytes4 reason = early ? HashTimeLock.DeadlineNotReached.selector : HashTimeLock.LockAbsent.selector;
        require(!worked && bytes4(answer) == reason);
        same(uint256(state(id)), uint256(HashTimeLock.State.Open));
    }

    function test_aUsedIdIsNeverFree() public {
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        bytes32 id = doLock(t);
        vm.prank(SENDER);
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.LockExists.selector, id));
        lock.lockCoin{value: 5}(RECIPIENT, t.hashlock, uint40(t.deadline));
        lock.claim(opening(t, bytes32(uint256(1))));
        vm.prank(SENDER);
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.LockExists.selector, id));
        lock.lockCoin{value: 5}(RECIPIENT, t.hashlock, uint40(t.deadline));
    }

    // --- what is refused ------------------------------------------------------------------------

    function test_badTermsAreRefused() public {
        bytes32 good = sha256(abi.encode(bytes32(uint256(1))));
        uint40 deadline = later(100);
        vm.deal(address(this), 100);
        vm.expectPartialRevert(HashTimeLock.AmountZero.selector);
        lock.lockCoin{value: 0}(RECIPIENT, good, deadline);
        vm.expectPartialRevert(HashTimeLock.HashlockRefused.selector);
        lock.lockCoin{value: 1}(RECIPIENT, bytes32(0), deadline);
        bytes32 zeros = sha256(abi.encode(bytes32(0)));
        vm.expectPartialRevert(HashTimeLock.HashlockRefused.selector);
        lock.lockCoin{value: 1}(RECIPIENT, zeros, deadline);
        vm.expectPartialRevert(HashTimeLock.RecipientRefused.selector);
        lock.lockCoin{value: 1}(address(0), good, deadline);
        vm.expectPartialRevert(HashTimeLock.RecipientRefused.selector);
        lock.lockCoin{value: 1}(address(lock), good, deadline);
        vm.expectPartialRevert(HashTimeLock.DeadlinePassed.selector);
        lock.lockCoin{value: 1}(RECIPIENT, good, uint40(block.timestamp));
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.TokenAbsent.selector, STRANGER));
        lock.lockToken(STRANGER, RECIPIENT, 1, good, deadline);
        vm.expectPartialRevert(HashTimeLock.AmountZero.selector);
        lock.lockToken(address(token), RECIPIENT, 0, good, deadline);
    }

    /// @dev Precompiles answer, but move nothing.
    function testFuzz_precompilesAreNoTokens(uint8 which) public {
        address precompile = address(uint160(uint256(which % 10) + 1));
        vm.expectRevert();
        lock.lockToken(precompile, RECIPIENT, 1, HASHLOCK, later(100));
    }

    function test_aTokenWithAFeeIsRefused() public {
        FeeToken fee = new FeeToken();
        fee.transfer(SENDER, 100);
        vm.startPrank(SENDER);
        fee.approve(address(lock), 100);
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.TokenAmountDiffers.selector, address(fee), 50, 49));
        lock.lockToken(address(fee), RECIPIENT, 50, HASHLOCK, later(100));
        vm.stopPrank();
        same(fee.balanceOf(SENDER), 100);
    }

    function test_aTokenThatReturnsNothingWorks() public {
        SilentToken silent = new SilentToken();
        silent.transfer(SENDER, 100);
        HashTimeLock.Terms memory t = terms(address(silent), 40, bytes32(uint256(1)), later(100));
        doLock(t);
        lock.claim(opening(t, bytes32(uint256(1))));
        same(silent.balanceOf(RECIPIENT), 40);
    }

    // --- pushes that fail -----------------------------------------------------------------------

    function test_aFailedPushBecomesCredit() public {
        Refuser refuser = new Refuser();
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        t.recipient = address(refuser);
        bytes32 id = doLock(t);
        lock.claim(opening(t, bytes32(uint256(1))));
        same(uint256(state(id)), uint256(HashTimeLock.State.Claimed));
        same(lock.creditOf(address(refuser)), 5);
        same(address(lock).balance, 5);
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.WithdrawalFailed.selector, address(refuser)));
        refuser.withdraw(lock, payable(address(refuser)));
        same(lock.creditOf(address(refuser)), 5);
        refuser.withdraw(lock, payable(STRANGER));
        same(STRANGER.balance, 5);
        same(lock.creditOf(address(refuser)), 0);
        vm.expectRevert(abi.encodeWithSelector(HashTimeLock.CreditAbsent.selector, address(refuser)));
        refuser.withdraw(lock, payable(STRANGER));
    }

    function test_aFailedRefundBecomesCredit() public {
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        t.sender = address(new Refuser());
        vm.deal(t.sender, 5);
        bytes32 id = doLock(t);
        vm.warp(t.deadline);
        lock.refund(t);
        same(uint256(state(id)), uint256(HashTimeLock.State.Refunded));
        same(lock.creditOf(t.sender), 5);
        same(address(lock).balance, 5);
    }

    /// @dev As for claims: with too little gas it is paid, or all reverts.
    function testFuzz_tooLittleGasRefundsNoCredit(uint32 gas) public {
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        t.sender = address(new Payee());
        vm.deal(t.sender, 5);
        bytes32 id = doLock(t);
        vm.warp(t.deadline);
        try lock.refund{gas: 10_000 + gas % 190_000}(t) {
            same(t.sender.balance, 5);
        } catch {
            same(uint256(state(id)), uint256(HashTimeLock.State.Open));
        }
        same(lock.creditOf(t.sender), 0);
    }

    function test_aRecipientCannotBurnTheCallersGas() public {
        GasEater eater = new GasEater();
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        t.recipient = address(eater);
        doLock(t);
        lock.claim{gas: 250_000}(opening(t, bytes32(uint256(1))));
        same(lock.creditOf(address(eater)), 5);
    }

    /// @dev No gas limit turns a payment that would work into credit: it is paid, or all reverts.
    function testFuzz_tooLittleGasNeverMakesCredit(uint32 gas) public {
        address payee = address(new Payee());
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        t.recipient = payee;
        bytes32 id = doLock(t);
        try lock.claim{gas: 10_000 + gas % 190_000}(opening(t, bytes32(uint256(1)))) {
            same(payee.balance, 5);
        } catch {
            same(uint256(state(id)), uint256(HashTimeLock.State.Open));
        }
        same(lock.creditOf(payee), 0);
    }

    function test_settlingAgainWhilePaidIsRefused() public {
        Reenterer reenterer = new Reenterer(lock);
        HashTimeLock.Terms memory t = terms(address(0), 5, bytes32(uint256(1)), later(100));
        t.recipient = address(reenterer);
        doLock(t);
        HashTimeLock.Terms memory other = terms(address(0), 50, bytes32(uint256(2)), later(100));
        doLock(other);
        reenterer.arm(abi.encodeCall(HashTimeLock.claim, (opening(t, bytes32(uint256(1))))));
        lock.claim(opening(t, bytes32(uint256(1))));
        require(reenterer.tried() && !reenterer.worked());
        same(address(lock).balance, 50);
        same(address(reenterer).balance, 5);
    }

    // --- the deposit that would be counted twice ------------------------------------------------

    FeeToken private _fee;
    uint40 private _deadline;

    function onTransfer() external {
        _fee.setHook(address(0));
        lock.lockToken(address(_fee), RECIPIENT, 1, sha256(abi.encode(bytes32(uint256(9)))), _deadline);
    }

    /// @dev A token with a fee and a hook: the fee is made up for by a lock of its own inside.
    function test_aLockInsideALockIsRefused() public {
        _fee = new FeeToken();
        _deadline = later(100);
        _fee.transfer(SENDER, 100);
        _fee.approve(address(lock), 100);
        _fee.setHook(address(this));
        vm.startPrank(SENDER);
        _fee.approve(address(lock), 100);
        vm.expectPartialRevert(bytes4(keccak256("ReentrancyGuardReentrantCall()")));
        lock.lockToken(address(_fee), RECIPIENT, 50, HASHLOCK, _deadline);
        vm.stopPrank();
        same(_fee.balanceOf(address(lock)), 0);
    }
}

/// @dev Writes a word when it is paid, as wallets do.
contract Payee {
    uint256 public times;

    receive() external payable {
        times += 1;
    }
}

contract HashTimeLockCancunTest is HashTimeLockTest {
    function make() internal override returns (HashTimeLock) {
        return Locks.cancun();
    }
}

contract HashTimeLockParisTest is HashTimeLockTest {
    function make() internal override returns (HashTimeLock) {
        return Locks.paris();
    }
}
