// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Interoperable addresses (ERC-7930), in the one encoding that message ids are made of
/// @notice docs/reference/interoperable-addresses.md says what the bytes are.
/// @dev Parsers are more lenient than this: they take leading zeros in a chain id and bytes after the
/// end. Two encodings of one account would be two messages, so all but one are refused here.
library InteroperableAddresses {
    uint256 private constant EIP155 = 0x0000;
    uint256 private constant NATIVE = 0x8d54;
    uint256 private constant FABRIC = 0xc797;

    /// @dev The largest chain id that CAIP-2 can write: 32 digits.
    uint256 private constant MAX_CHAIN_ID = 10 ** 32 - 1;

    bytes1 private constant IDENTITY = 0x01;
    bytes1 private constant CHAINCODE = 0x02;

    /// @notice Whether these bytes are the encoding of an account: not of a chain alone, nor of an
    /// account without its chain.
    function isAccount(bytes calldata data) internal pure returns (bool) {
        if (data.length < 6 || bytes2(data) != 0x0001) return false;
        uint256 chainEnd = 5 + uint256(uint8(data[4]));
        if (data.length <= chainEnd || data.length != chainEnd + 1 + uint8(data[chainEnd])) {
            return false;
        }
        bytes calldata chainReference = data[5:chainEnd];
        bytes calldata account = data[chainEnd + 1:];
        uint256 chainType = uint16(bytes2(data[2:4]));
        if (chainType == EIP155) return account.length == 20 && _isChainId(chainReference);
        if (chainReference.length != 16) return false;
        if (chainType == NATIVE) return account.length == 32;
        return chainType == FABRIC && _isFabricAccount(account);
    }

    function _isChainId(bytes calldata chainReference) private pure returns (bool) {
        // 10^32 - 1 has 14 bytes.
        if (chainReference.length == 0 || chainReference.length > 14 || chainReference[0] == 0) return false;
        return uint256(bytes32(chainReference)) >> (256 - 8 * chainReference.length) <= MAX_CHAIN_ID;
    }

    function _isFabricAccount(bytes calldata account) private pure returns (bool) {
        if (account.length < 2) return false;
        if (account[0] == IDENTITY) {
            return account.length > 33 && _isMsp(account[33:]);
        }
        return account[0] == CHAINCODE && _isChaincode(account[1:]);
    }

    /// @dev UTF-8 of at most 63 characters once it is percent-encoded: with a dot and 64 digits they
    /// are the 128 of a CAIP-10 address.
    function _isMsp(bytes calldata msp) private pure returns (bool) {
        uint256 characters;
        uint256 index;
        while (index < msp.length) {
            uint256 size = _codePoint(msp[index:]);
            if (size == 0) return false;
            bytes1 one = msp[index];
            bool kept = _isLetterOrDigit(one) || one == "-" || one == ".";
            characters += kept ? 1 : 3 * size;
            index += size;
        }
        return characters <= 63;
    }

    /// @dev The bytes of the first code point; 0 where there is none in UTF-8 (RFC 3629, section 4).
    function _codePoint(bytes calldata text) private pure returns (uint256) {
        uint8 first = uint8(text[0]);
        if (first < 0x80) return 1;
        if (first < 0xc2 || first > 0xf4) return 0;
        uint256 size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        if (text.length < size) return 0;
        uint8 second = uint8(text[1]);
        // Too long for their code point; surrogates; above U+10FFFF.
        uint8 least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8 most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (second < least || second > most) return 0;
        for (uint256 index = 2; index < size; ++index) {
            if (uint8(text[index]) & 0xc0 != 0x80) return 0;
        }
        return size;
    }

    /// @dev Letters and digits, with single dashes or underscores between them.
    function _isChaincode(bytes calldata name) private pure returns (bool) {
        uint256 characters;
        bool separated = true;
        for (uint256 index = 0; index < name.length; ++index) {
            bytes1 one = name[index];
            bool separator = one == "-" || one == "_";
            if (separator ? separated : !_isLetterOrDigit(one)) return false;
            separated = separator;
            // An underscore is percent-encoded.
            characters += one == "_" ? 3 : 1;
        }
        return !separated && characters <= 128;
    }

    function _isLetterOrDigit(bytes1 one) private pure returns (bool) {
        return (one >= "a" && one <= "z") || (one >= "A" && one <= "Z") || (one >= "0" && one <= "9");
    }
}
