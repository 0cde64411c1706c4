//! The data of third parties that tests use where it is there.

use std::path::{Path, PathBuf};

/// The folder with CIFAR-10 and trained networks; says so if there is none.
pub fn data() -> Option<PathBuf> {
    let data = std::env::var_os("LONGHAUL_DATA").map(PathBuf::from);
    if data.is_none() {
        eprintln!("skipped: LONGHAUL_DATA does not name a folder with real data");
    }
    data
}

/// The values of a version 1 `.npy` file of little-endian f32 in C order, ten columns.
pub fn logits(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{}", path.display());
    let header_bytes = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (header, values) = bytes[10..].split_at(header_bytes);
    let header = std::str::from_utf8(header).unwrap();
    for part in ["'descr': '<f4'", "'fortran_order': False", ", 10)"] {
        assert!(header.contains(part), "{header}");
    }
    let (words, rest) = values.as_chunks();
    assert!(rest.is_empty());
    let values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    values.chunks_exact(10).map(<[f32]>::to_vec).collect()
}
