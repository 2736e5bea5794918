// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The few of Forge's cheat codes that these tests use.
interface Vm {
    function prank(address) external;
    function startPrank(address) external;
    function stopPrank() external;
    function deal(address, uint256) external;
    function warp(uint256) external;
    function roll(uint256) external;
    function expectPartialRevert(bytes4) external;
    function expectRevert(bytes calldata) external;
    function expectRevert() external;
    function assume(bool) external pure;
    function expectEmit(bool, bool, bool, bool, address) external;
}

abstract contract Checks {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Differs(uint256 seen, uint256 expected);

    function same(uint256 seen, uint256 expected) internal pure {
        require(seen == expected, Differs(seen, expected));
    }
}
