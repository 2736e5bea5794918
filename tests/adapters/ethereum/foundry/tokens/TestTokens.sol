// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev All that it has is its deployer's.
contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "PLN") {
        _mint(msg.sender, 1e30);
    }
}

/// @dev Keeps one unit of every transfer, except from accounts that are let off.
contract FeeToken is ERC20 {
    mapping(address => bool) public letOff;
    address public hook;

    constructor() ERC20("Fee", "FEE") {
        letOff[msg.sender] = true;
        _mint(msg.sender, 1e30);
    }

    function letOffFee(address account) external {
        letOff[account] = true;
    }

    /// @dev Is called in the middle of every transfer from an account that pays the fee.
    function setHook(address hook_) external {
        hook = hook_;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0) || to == address(0) || letOff[from]) {
            super._update(from, to, value);
            return;
        }
        super._update(from, to, value - 1);
        super._update(from, address(0), 1);
        if (hook != address(0)) {
            (bool ok, bytes memory reason) = hook.call(abi.encodeWithSignature("onTransfer()"));
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(reason, 0x20), mload(reason))
                }
            }
        }
    }
}

/// @dev Like some old tokens: transfers return nothing.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    constructor() {
        balanceOf[msg.sender] = 1e30;
    }

    function approve(address, uint256) external {}

    function transfer(address to, uint256 value) external {
        _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private {
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }
}

/// @dev Like USDT: nothing is returned, and an allowance changes from zero or to zero only.
contract WaryToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor() {
        balanceOf[msg.sender] = 1e30;
    }

    function approve(address spender, uint256 value) external {
        require(value == 0 || allowance[msg.sender][spender] == 0);
        allowance[msg.sender][spender] = value;
    }

    function transfer(address to, uint256 value) external {
        _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        allowance[from][msg.sender] -= value;
        _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private {
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }
}
