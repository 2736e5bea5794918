// Makes openzeppelin_trees.json: the trees that npm @openzeppelin/merkle-tree builds over message ids.
// Run once, in a folder where `npm install @openzeppelin/merkle-tree@1.0.8 @noble/hashes@1.8.0` was run:
//
//     NODE_PATH=node_modules node openzeppelin_trees.cjs > openzeppelin_trees.json
//
// Id number i of every tree is keccak256 of i as 32 bytes.

const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const { keccak_256 } = require("@noble/hashes/sha3");

const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 31, 32, 33, 63, 64, 65, 100];

function id(number) {
  const word = new Uint8Array(32);
  new DataView(word.buffer).setUint32(28, number);
  return "0x" + Buffer.from(keccak_256(word)).toString("hex");
}

function made(size) {
  const tree = StandardMerkleTree.of([...Array(size).keys()].map((i) => [id(i)]), ["bytes32"]);
  const shown = [...new Set([0, 1, size >> 1, size - 1])].filter((i) => i < size);
  return {
    size,
    root: tree.root,
    nodes: size <= 9 ? tree.dump().tree : undefined,
    proofs: shown.map((i) => ({ id: id(i), proof: tree.getProof(i) })),
  };
}

const { version } = require("@openzeppelin/merkle-tree/package.json");
console.log(JSON.stringify({ made_by: `@openzeppelin/merkle-tree ${version}`, trees: SIZES.map(made) }, null, 1));
