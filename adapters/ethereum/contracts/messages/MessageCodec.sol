// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InteroperableAddresses} from "./InteroperableAddresses.sol";

/// @title Lanes, messages and attestations, and their ids
/// @notice The schema of adapters/codec/message.py; adapters/codec/vectors/messages.json holds the
/// two to each other. EIP-712, domain EIP712Domain(string name,string version), "Isthmus", "1".
library MessageCodec {
    struct Lane {
        bytes sourceGateway;
        bytes32 sourceSalt;
        bytes destinationGateway;
        bytes32 destinationSalt;
    }

    /// @notice `sequence` is 0 where `ordered` is false, `expiry` in Unix seconds or 0 for never.
    struct Message {
        uint16 version;
        bytes32 lane;
        uint64 nonce;
        bytes sender;
        bytes receiver;
        bytes payload;
        bool ordered;
        uint64 sequence;
        uint64 expiry;
        uint64 gasLimit;
    }

    /// @notice Of `count` messages, with nonces from `firstNonce`, whose ids are under `root`.
    struct Attestation {
        bytes32 lane;
        uint64 epoch;
        bytes32 root;
        uint64 firstNonce;
        uint64 count;
    }

    error InvalidSourceGateway();
    error InvalidDestinationGateway();
    error InvalidVersion();
    error InvalidLane();
    error InvalidSender();
    error InvalidReceiver();
    error InvalidPayload();
    error InvalidSequence();
    error InvalidRoot();
    error InvalidCount();

    uint16 internal constant VERSION = 1;
    uint256 internal constant MAX_PAYLOAD = 65_536;

    bytes32 internal constant DOMAIN_SEPARATOR = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version)"), keccak256("Isthmus"), keccak256("1")
        )
    );
    bytes32 internal constant LANE_TYPE = keccak256(
        "Lane(bytes sourceGateway,bytes32 sourceSalt,bytes destinationGateway,bytes32 destinationSalt)"
    );
    bytes32 internal constant MESSAGE_TYPE = keccak256(
        "Message(uint16 version,bytes32 lane,uint64 nonce,bytes sender,bytes receiver,bytes payload,bool ordered,uint64 sequence,uint64 expiry,uint64 gasLimit)"
    );
    bytes32 internal constant ATTESTATION_TYPE =
        keccak256("Attestation(bytes32 lane,uint64 epoch,bytes32 root,uint64 firstNonce,uint64 count)");

    function laneId(Lane calldata lane) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                LANE_TYPE,
                keccak256(lane.sourceGateway),
                lane.sourceSalt,
                keccak256(lane.destinationGateway),
                lane.destinationSalt
            )
        );
    }

    function messageId(Message calldata message) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                MESSAGE_TYPE,
                message.version,
                message.lane,
                message.nonce,
                keccak256(message.sender),
                keccak256(message.receiver),
                keccak256(message.payload),
                message.ordered,
                message.sequence,
                message.expiry,
                message.gasLimit
            )
        );
    }

    /// @notice What notaries sign.
    function digest(Attestation calldata attestation) internal pure returns (bytes32) {
        bytes32 hash = keccak256(
            abi.encode(
                ATTESTATION_TYPE,
                attestation.lane,
                attestation.epoch,
                attestation.root,
                attestation.firstNonce,
                attestation.count
            )
        );
        return keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR, hash));
    }

    /// @notice The leaf of a message in its batch: OpenZeppelin's StandardMerkleTree over bytes32.
    function leaf(bytes32 id) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(id))));
    }

    /// @notice Reverts, naming the member, for a lane that cannot be.
    function check(Lane calldata lane) internal pure {
        require(InteroperableAddresses.isAccount(lane.sourceGateway), InvalidSourceGateway());
        require(InteroperableAddresses.isAccount(lane.destinationGateway), InvalidDestinationGateway());
        require(
            keccak256(lane.sourceGateway) != keccak256(lane.destinationGateway)
                || lane.sourceSalt != lane.destinationSalt,
            InvalidDestinationGateway()
        );
    }

    /// @notice Reverts, naming the member, for a message that cannot be.
    function check(Message calldata message) internal pure {
        require(message.version == VERSION, InvalidVersion());
        require(message.lane != 0, InvalidLane());
        require(InteroperableAddresses.isAccount(message.sender), InvalidSender());
        require(InteroperableAddresses.isAccount(message.receiver), InvalidReceiver());
        require(message.payload.length <= MAX_PAYLOAD, InvalidPayload());
        require(message.ordered || message.sequence == 0, InvalidSequence());
    }

    /// @notice Reverts, naming the member, for an attestation that cannot be.
    function check(Attestation calldata attestation) internal pure {
        require(attestation.lane != 0, InvalidLane());
        require(attestation.root != 0, InvalidRoot());
        // The last nonce must be one; the sum itself may be 2^64.
        require(
            attestation.count != 0 && attestation.count - 1 <= type(uint64).max - attestation.firstNonce,
            InvalidCount()
        );
    }
}
