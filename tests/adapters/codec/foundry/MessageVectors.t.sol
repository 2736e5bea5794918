// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {InteroperableAddresses} from "../src/InteroperableAddresses.sol";
import {MessageCodec} from "../src/MessageCodec.sol";

/// @dev The few of Forge's cheat codes that these tests use.
interface Vm {
    function readFile(string calldata) external view returns (string memory);
    function parseJsonBytes32(string calldata, string calldata) external pure returns (bytes32);
    function parseJsonTypeArray(string calldata, string calldata, string calldata)
        external
        pure
        returns (bytes memory);
}

/// @dev The libraries, called from outside.
contract Codec {
    function isAccount(bytes calldata data) external pure returns (bool) {
        return InteroperableAddresses.isAccount(data);
    }

    function parsed(bytes calldata data) external pure returns (bool success, bytes memory again) {
        bytes2 chainType;
        bytes calldata chainReference;
        bytes calldata account;
        (success, chainType, chainReference, account) = InteroperableAddress.tryParseV1Calldata(data);
        if (success) again = InteroperableAddress.formatV1(chainType, chainReference, account);
    }

    function laneId(MessageCodec.Lane calldata lane) external pure returns (bytes32) {
        MessageCodec.check(lane);
        return MessageCodec.laneId(lane);
    }

    function messageId(MessageCodec.Message calldata message) external pure returns (bytes32) {
        MessageCodec.check(message);
        return MessageCodec.messageId(message);
    }

    function digest(MessageCodec.Attestation calldata attestation) external pure returns (bytes32) {
        MessageCodec.check(attestation);
        return MessageCodec.digest(attestation);
    }

    function leaf(bytes32 id) external pure returns (bytes32) {
        return MessageCodec.leaf(id);
    }
}

contract MessageVectorsTest {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    Codec private codec;

    struct AddressEntry {
        string name;
        bytes encoded;
    }


    /// @dev The members of messages.json, in the order of MESSAGE.
    struct MessageEntry {
        string name;
        uint16 version;
        bytes32 lane;
        uint64 nonce;
        bytes sender;
        bytes receiver;
        bytes pattern;
        uint256 length;
        bytes32 payloadHash;
        bool ordered;
        uint64 sequence;
        uint64 expiry;
        uint64 gasLimit;
    }

    struct FlatLane {
        string name;
        bytes sourceGateway;
        bytes32 sourceSalt;
        bytes destinationGateway;
        bytes32 destinationSalt;
    }

    struct AttestationEntry {
        string name;
        bytes32 lane;
        uint64 epoch;
        bytes32 root;
        uint64 firstNonce;
        uint64 count;
    }

    struct Proven {
        bytes32 digest;
        bytes32[] ids;
        bytes32[][] proofs;
    }

    struct Id {
        bytes32 id;
    }

    struct Field {
        string field;
    }

    string private constant ADDRESS = "AddressVector(string name,bytes encoded)";
    string private constant LANE =
        "LaneVector(string name,bytes source_gateway,bytes32 source_salt,bytes destination_gateway,bytes32 destination_salt)";
    string private constant MESSAGE =
        "MessageVector(string name,uint16 version,bytes32 lane,uint64 nonce,bytes sender,bytes receiver,bytes payload_pattern,uint256 payload_length,bytes32 payload_hash,bool ordered,uint64 sequence,uint64 expiry,uint64 gas_limit)";
    string private constant ATTESTATION =
        "AttestationVector(string name,bytes32 lane,uint64 epoch,bytes32 root,uint64 first_nonce,uint64 count)";

    error Differs(string name);
    error Accepted(string name);
    error RefusedFor(string name, bytes reason);

    function setUp() public {
        codec = new Codec();
    }

    function test_schema() public view {
        string memory json = vm.readFile("messages.json");
        require(
            vm.parseJsonBytes32(json, ".schema.domain_separator") == MessageCodec.DOMAIN_SEPARATOR,
            Differs("domain")
        );
        require(vm.parseJsonBytes32(json, ".schema.types[1].type_hash") == MessageCodec.LANE_TYPE, Differs("Lane"));
        require(
            vm.parseJsonBytes32(json, ".schema.types[2].type_hash") == MessageCodec.MESSAGE_TYPE, Differs("Message")
        );
        require(
            vm.parseJsonBytes32(json, ".schema.types[3].type_hash") == MessageCodec.ATTESTATION_TYPE,
            Differs("Attestation")
        );
    }

    function test_addresses() public view {
        AddressEntry[] memory entries = abi.decode(_read(".addresses", ADDRESS), (AddressEntry[]));
        require(entries.length > 30);
        for (uint256 i; i < entries.length; ++i) {
            require(codec.isAccount(entries[i].encoded), Differs(entries[i].name));
            // OpenZeppelin's parser reads the same envelope.
            (bool success, bytes memory again) = codec.parsed(entries[i].encoded);
            require(success && keccak256(again) == keccak256(entries[i].encoded), Differs(entries[i].name));
        }
    }

    function test_refused_addresses() public view {
        AddressEntry[] memory entries = abi.decode(_read(".refused_addresses", ADDRESS), (AddressEntry[]));
        require(entries.length > 80);
        for (uint256 i; i < entries.length; ++i) {
            require(!codec.isAccount(entries[i].encoded), Accepted(entries[i].name));
        }
    }

    function test_lanes() public view {
        FlatLane[] memory entries = abi.decode(_read(".lanes", LANE), (FlatLane[]));
        Id[] memory ids = abi.decode(_read(".lanes", "IdVector(bytes32 lane_id)"), (Id[]));
        require(entries.length > 20);
        for (uint256 i; i < entries.length; ++i) {
            require(codec.laneId(_lane(entries[i])) == ids[i].id, Differs(entries[i].name));
        }
    }

    function test_refused_lanes() public view {
        FlatLane[] memory entries = abi.decode(_read(".refused_lanes", LANE), (FlatLane[]));
        Field[] memory fields = abi.decode(_read(".refused_lanes", "FieldVector(string field)"), (Field[]));
        require(entries.length > 5);
        for (uint256 i; i < entries.length; ++i) {
            try codec.laneId(_lane(entries[i])) returns (bytes32) {
                revert Accepted(entries[i].name);
            } catch (bytes memory reason) {
                _named(entries[i].name, fields[i].field, reason);
            }
        }
    }

    function test_messages() public view {
        MessageEntry[] memory entries = abi.decode(_read(".messages", MESSAGE), (MessageEntry[]));
        Id[] memory ids = abi.decode(_read(".messages", "IdVector(bytes32 message_id)"), (Id[]));
        require(entries.length >= 200);
        for (uint256 i; i < entries.length; ++i) {
            require(codec.messageId(_message(entries[i])) == ids[i].id, Differs(entries[i].name));
        }
    }

    function test_refused_messages() public view {
        MessageEntry[] memory entries = abi.decode(_read(".refused_messages", MESSAGE), (MessageEntry[]));
        Field[] memory fields = abi.decode(_read(".refused_messages", "FieldVector(string field)"), (Field[]));
        require(entries.length > 15);
        for (uint256 i; i < entries.length; ++i) {
            try codec.messageId(_message(entries[i])) returns (bytes32) {
                revert Accepted(entries[i].name);
            } catch (bytes memory reason) {
                _named(entries[i].name, fields[i].field, reason);
            }
        }
    }

    function test_batches() public view {
        AttestationEntry[] memory entries = abi.decode(_read(".batches", ATTESTATION), (AttestationEntry[]));
        Proven[] memory proven =
            abi.decode(_read(".batches", "ProvenVector(bytes32 digest,bytes32[] ids,bytes32[][] proofs)"), (Proven[]));
        require(entries.length > 10);
        for (uint256 i; i < entries.length; ++i) {
            require(codec.digest(_attestation(entries[i])) == proven[i].digest, Differs(entries[i].name));
            require(proven[i].ids.length == entries[i].count, Differs(entries[i].name));
            for (uint256 j; j < proven[i].ids.length; ++j) {
                bytes32 leaf = codec.leaf(proven[i].ids[j]);
                require(
                    MerkleProof.verify(proven[i].proofs[j], entries[i].root, leaf), Differs(entries[i].name)
                );
            }
        }
    }

    function test_refused_attestations() public view {
        AttestationEntry[] memory entries =
            abi.decode(_read(".refused_attestations", ATTESTATION), (AttestationEntry[]));
        Field[] memory fields = abi.decode(_read(".refused_attestations", "FieldVector(string field)"), (Field[]));
        require(entries.length > 5);
        for (uint256 i; i < entries.length; ++i) {
            try codec.digest(_attestation(entries[i])) returns (bytes32) {
                revert Accepted(entries[i].name);
            } catch (bytes memory reason) {
                _named(entries[i].name, fields[i].field, reason);
            }
        }
    }

    /// @dev Where ours takes bytes as an account's, OpenZeppelin's parser takes them too, and they are
    /// what it writes again.
    function testFuzz_no_account_that_openzeppelin_reads_otherwise(bytes calldata noise, uint8 split, uint8 kind)
        public
        view
    {
        bytes2[3] memory kinds = [bytes2(0x0000), 0x8d54, 0xc797];
        bytes memory data = bytes.concat(bytes2(0x0001), kinds[kind % 3], noise);
        if (data.length > 5) {
            // Lengths that fit, more often than chance would have them.
            uint256 size = split % (data.length - 5);
            data[4] = bytes1(uint8(size));
            uint256 rest = data.length - 6 - size;
            data[5 + size] = bytes1(uint8(rest));
        }
        if (!codec.isAccount(data)) return;
        (bool success, bytes memory again) = codec.parsed(data);
        require(success && keccak256(again) == keccak256(data), Differs("noise"));
    }

    function _read(string memory list, string memory kind) private view returns (bytes memory) {
        return vm.parseJsonTypeArray(vm.readFile("messages.json"), list, kind);
    }

    function _lane(FlatLane memory entry) private pure returns (MessageCodec.Lane memory) {
        return MessageCodec.Lane(
            entry.sourceGateway, entry.sourceSalt, entry.destinationGateway, entry.destinationSalt
        );
    }

    function _message(MessageEntry memory entry) private pure returns (MessageCodec.Message memory message) {
        message.version = entry.version;
        message.lane = entry.lane;
        message.nonce = entry.nonce;
        message.sender = entry.sender;
        message.receiver = entry.receiver;
        message.payload = _repeated(entry.pattern, entry.length);
        require(keccak256(message.payload) == entry.payloadHash, Differs(entry.name));
        message.ordered = entry.ordered;
        message.sequence = entry.sequence;
        message.expiry = entry.expiry;
        message.gasLimit = entry.gasLimit;
    }

    function _attestation(AttestationEntry memory entry) private pure returns (MessageCodec.Attestation memory) {
        return MessageCodec.Attestation(entry.lane, entry.epoch, entry.root, entry.firstNonce, entry.count);
    }

    function _repeated(bytes memory pattern, uint256 length) private pure returns (bytes memory payload) {
        payload = new bytes(length);
        for (uint256 i; i < length; ++i) {
            payload[i] = pattern[i % pattern.length];
        }
    }

    /// @dev Reverts where the library refused for another member than the vectors say.
    function _named(string memory name, string memory field, bytes memory reason) private pure {
        require(reason.length == 4 && bytes4(reason) == _error(keccak256(bytes(field))), RefusedFor(name, reason));
    }

    function _error(bytes32 field) private pure returns (bytes4) {
        if (field == keccak256("source_gateway")) return MessageCodec.InvalidSourceGateway.selector;
        if (field == keccak256("destination_gateway")) return MessageCodec.InvalidDestinationGateway.selector;
        if (field == keccak256("version")) return MessageCodec.InvalidVersion.selector;
        if (field == keccak256("lane")) return MessageCodec.InvalidLane.selector;
        if (field == keccak256("sender")) return MessageCodec.InvalidSender.selector;
        if (field == keccak256("receiver")) return MessageCodec.InvalidReceiver.selector;
        if (field == keccak256("payload")) return MessageCodec.InvalidPayload.selector;
        if (field == keccak256("sequence")) return MessageCodec.InvalidSequence.selector;
        if (field == keccak256("root")) return MessageCodec.InvalidRoot.selector;
        if (field == keccak256("count")) return MessageCodec.InvalidCount.selector;
        revert Differs("field");
    }
}
