// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {HashTimeLock} from "./HashTimeLock.sol";

/// @title HashTimeLock for chains that have the Cancun upgrade
/// @dev The guard is transient storage (EIP-1153), which costs a tenth of a word of storage.
contract HashTimeLockCancun is HashTimeLock, ReentrancyGuardTransient {
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
