use super::super::instances::tests::{Case, and_circuit, decode};
use super::super::relu_circuit;
use super::*;
use crate::crypto::Seed;
use crate::crypto::rekeyed::Kernel;

#[test]
fn one_gate_follows_the_paper() {
    // The equations of figure 2, spelled out with crate `aes` for one instance.
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    let case = Case::new(HalfGates, and_circuit(), 1, &mut Seed::from_u64(2).prg());
    let hash = |x: Block, half_gate: u128| {
        let tweak = (u128::from(case.first_instance) << 32) ^ half_gate;
        let key = (u128::from_le_bytes(case.key) ^ tweak).to_le_bytes();
        let mut state = x.0.to_le_bytes().into();
        aes::Aes128::new(&key.into()).encrypt_block(&mut state);
        // The feed-forward, by 32-bit words.
        let [u0, v0, u1, v1]: [u32; 4] = bytemuck::cast(x);
        let forward: Block = bytemuck::cast([u0 ^ v0, u0, u1 ^ v1, u1]);
        forward ^ Block(u128::from_le_bytes(state.into()))
    };
    let (a, b, delta) = (case.inputs[0].0[0], case.inputs[1].0[0], case.delta);
    let garbler_half = hash(a, 0) ^ hash(a ^ delta, 0) ^ delta.if_bit(b.lsb());
    let evaluator_half = hash(b, 1) ^ hash(b ^ delta, 1) ^ a;
    let out = hash(a, 0) ^ garbler_half.if_bit(a.lsb()) ^ hash(b, 1) ^ (evaluator_half ^ a).if_bit(b.lsb());
    let (tables, outputs0) = case.garble(Kernel::best(), 0, 1);
    assert_eq!(tables, bytemuck::bytes_of(&[garbler_half, evaluator_half]));
    assert_eq!(outputs0, [out]);
}

#[test]
fn chunks_reorder_blocks() {
    let n = 35;
    let case = Case::new(HalfGates, relu_circuit(64, 16), n, &mut Seed::from_u64(4).prg());
    let (tables, _) = case.garble(Kernel::best(), 0, n);
    let mut chunks = case.garble(Kernel::best(), 0, 7).0;
    chunks.extend(case.garble(Kernel::best(), 7, n).0);
    let sorted = |bytes: &[u8]| {
        let mut blocks: Vec<[u8; 16]> = bytes.as_chunks().0.to_vec();
        blocks.sort_unstable();
        blocks
    };
    assert!(tables != chunks && sorted(&tables) == sorted(&chunks));
}

#[test]
fn a_flipped_table_bit_is_noticed() {
    // Colours such that the evaluator uses both halves of every table.
    let mut case = Case::new(HalfGates, and_circuit(), 3, &mut Seed::from_u64(5).prg());
    for (labels, bits) in &mut case.inputs {
        for (label, bit) in labels.iter_mut().zip(bits) {
            label.0 = label.0 & !1 | u128::from(!*bit);
        }
    }
    for kernel in Kernel::available() {
        let (mut tables, outputs0) = case.garble(kernel, 0, case.n);
        assert!(decode(case.delta, &outputs0, &case.evaluate(kernel, 0, 3, &tables)).is_some());
        for bit in 0..8 * tables.len() {
            tables[bit / 8] ^= 1 << (bit % 8);
            let outputs = case.evaluate(kernel, 0, case.n, &tables);
            assert_eq!(decode(case.delta, &outputs0, &outputs), None, "{kernel:?}, bit {bit}");
            tables[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn delta_cannot_be_decrypted_from_a_table() {
    // H(a) ^ H(a ^ delta) ^ delta must not be the XOR of two AES outputs: the evaluator has one of them and the
    // key, so it could decrypt the other to the other label. Here b's zero label has colour 1, as that needs.
    use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
    let mut case = Case::new(HalfGates, and_circuit(), 1, &mut Seed::from_u64(10).prg());
    case.inputs[1].0[0].0 |= 1;
    let (table, _) = case.garble(Kernel::best(), 0, 1);
    let half = Block(u128::from_le_bytes(table[..16].try_into().expect("16 bytes")));
    let key = (u128::from_le_bytes(case.key) ^ u128::from(case.first_instance) << 32).to_le_bytes();
    let cipher = aes::Aes128::new(&key.into());
    let active = case.inputs[0].0[0];
    let mut state = active.0.to_le_bytes().into();
    cipher.encrypt_block(&mut state);
    let mut other = (half ^ Block(u128::from_le_bytes(state.into()))).0.to_le_bytes().into();
    cipher.decrypt_block(&mut other);
    assert_ne!(active ^ Block(u128::from_le_bytes(other.into())), case.delta);
}
