// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {HashTimeLock} from "./HashTimeLock.sol";

/// @title HashTimeLock for chains that lack newer opcodes than the Paris upgrade's
/// @dev The guard is a word of storage.
contract HashTimeLockParis is HashTimeLock, ReentrancyGuard {
    /// @inheritdoc HashTimeLock
    function lockToken(address token, address recipient, uint256 amount, bytes32 hashlock, uint40 deadline)
        external
        override
        nonReentrant
        returns (bytes32 lockId)
    {
        return _lockToken(token, recipient, amount, hashlock, deadline);
    }
}
