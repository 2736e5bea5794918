// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HashTimeLock} from "../src/HashTimeLock.sol";
import {Locks} from "./Locks.sol";
import {PlainToken} from "tokens/TestTokens.sol";
import {Checks} from "./Vm.sol";

/// @dev Takes coin only while it likes to.
contract Moody {
    bool public refuses;

    function turn() external {
        refuses = !refuses;
    }

    receive() external payable {
        require(!refuses);
    }

    function withdraw(HashTimeLock lock) external {
        lock.withdrawCredit(payable(address(this)));
    }
}

/// @dev Does what anybody may do, in any order, and keeps its own books.
contract Actors is Checks {
    HashTimeLock public immutable lock;
    PlainToken public immutable token;
    Moody public immutable moody = new Moody();

    struct Entry {
        HashTimeLock.Terms terms;
        bytes32 preimage;
        bytes32 id;
        uint256 claims;
        uint256 refunds;
        uint256 locks;
    }

    Entry[] private _entries;
    uint256 private _salt;

    constructor(HashTimeLock lock_) {
        lock = lock_;
        token = new PlainToken();
        token.approve(address(lock_), type(uint256).max);
    }

    function count() external view returns (uint256) {
        return _entries.length;
    }

    function entry(uint256 index) external view returns (Entry memory) {
        return _entries[index];
    }

    function open(bool coin, bool toMoody, uint64 amount, uint16 ahead) external {
        bytes32 preimage = keccak256(abi.encode(++_salt));
        address asset = coin ? address(0) : address(token);
        HashTimeLock.Terms memory t = HashTimeLock.Terms(
            address(this),
            toMoody ? address(moody) : address(0xB0B),
            asset,
            uint256(amount) + 1,
            sha256(abi.encode(preimage)),
            uint40(block.timestamp + ahead + 1)
        );
        _entries.push(Entry(t, preimage, _open(t), 0, 0, 1));
    }

    function openAgain(uint256 which) external {
        if (_entries.length == 0) return;
        Entry storage e = _entries[which % _entries.length];
        _open(e.terms);
        e.locks += 1;
    }

    function _open(HashTimeLock.Terms memory t) private returns (bytes32) {
        if (t.asset == address(0)) {
            vm.deal(address(this), t.amount);
            return lock.lockCoin{value: t.amount}(t.recipient, t.hashlock, uint40(t.deadline));
        }
        return lock.lockToken(t.asset, t.recipient, t.amount, t.hashlock, uint40(t.deadline));
    }

    function claim(uint256 which) external {
        if (_entries.length == 0) return;
        Entry storage e = _entries[which % _entries.length];
        HashTimeLock.Terms memory t = e.terms;
        lock.claim(HashTimeLock.Opening(t.sender, t.recipient, t.asset, t.amount, e.preimage, t.deadline));
        e.claims += 1;
    }

    function refund(uint256 which) external {
        if (_entries.length == 0) return;
        Entry storage e = _entries[which % _entries.length];
        lock.refund(e.terms);
        e.refunds += 1;
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + time);
        vm.roll(block.number + 1);
    }

    function mood() external {
        moody.turn();
    }

    function withdraw() external {
        moody.withdraw(lock);
    }

    receive() external payable {}
}

abstract contract SolvencyTest is Checks {
    HashTimeLock private _lock;
    Actors private _actors;

    function make() internal virtual returns (HashTimeLock);

    function setUp() public {
        _lock = make();
        _actors = new Actors(_lock);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_actors);
    }

    /// @dev What is held is what is owed: open locks, and credit.
    function invariant_heldIsOwed() public view {
        uint256 coin = _lock.creditOf(address(_actors.moody())) + _lock.creditOf(address(_actors));
        uint256 tokens;
        for (uint256 i = 0; i < _actors.count(); i++) {
            Actors.Entry memory e = _actors.entry(i);
            (HashTimeLock.State s,,) = _lock.lookup(e.id);
            if (s != HashTimeLock.State.Open) continue;
            if (e.terms.asset == address(0)) coin += e.terms.amount;
            else tokens += e.terms.amount;
        }
        same(address(_lock).balance, coin);
        same(_actors.token().balanceOf(address(_lock)), tokens);
    }

    /// @dev Claimed or refunded, never both, each at most once; and never locked twice.
    function invariant_oneEnd() public view {
        for (uint256 i = 0; i < _actors.count(); i++) {
            Actors.Entry memory e = _actors.entry(i);
            (HashTimeLock.State s,,) = _lock.lookup(e.id);
            require(e.claims + e.refunds <= 1);
            same(e.locks, 1);
            same(uint256(s), 1 + e.claims + 2 * e.refunds);
        }
    }
}

contract SolvencyCancunTest is SolvencyTest {
    function make() internal override returns (HashTimeLock) {
        return Locks.cancun();
    }
}

contract SolvencyParisTest is SolvencyTest {
    function make() internal override returns (HashTimeLock) {
        return Locks.paris();
    }
}
