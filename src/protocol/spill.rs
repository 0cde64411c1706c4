//! Where large material waits for its layer: in memory, or beyond a budget in a temporary file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// One party's budget; cloning shares it.
#[derive(Clone, Debug)]
pub struct MaterialStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget_bytes: u64,
    in_memory: AtomicU64,
    file: OnceLock<File>,
    file_end: AtomicU64,
}

/// Kept bytes; taking them back consumes the handle, so material cannot be used twice.
#[derive(Debug)]
pub struct Kept {
    store: MaterialStore,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    File { offset: u64, length: usize },
}

impl MaterialStore {
    /// A store that holds up to `budget_bytes` in memory.
    pub fn new(budget_bytes: u64) -> MaterialStore {
        let shared =
            Shared { budget_bytes, in_memory: AtomicU64::new(0), file: OnceLock::new(), file_end: AtomicU64::new(0) };
        MaterialStore(Arc::new(shared))
    }

    /// Keeps `bytes` for later.
    ///
    /// # Errors
    /// If the temporary file cannot be made or written.
    pub fn keep(&self, bytes: Vec<u8>) -> io::Result<Kept> {
        let length = bytes.len() as u64;
        if self.0.in_memory.fetch_add(length, Relaxed) + length <= self.0.budget_bytes {
            return Ok(Kept { store: self.clone(), place: Place::Memory(bytes) });
        }
        self.0.in_memory.fetch_sub(length, Relaxed);
        let file = match self.0.file.get() {
            Some(file) => file,
            // Deleted by the system when the store goes, however the process ends.
            None => {
                let file = tempfile::tempfile()?;
                self.0.file.get_or_init(|| file)
            }
        };
        let offset = self.0.file_end.fetch_add(length, Relaxed);
        file.write_all_at(&bytes, offset)?;
        Ok(Kept { store: self.clone(), place: Place::File { offset, length: bytes.len() } })
    }
}

impl Kept {
    /// The bytes, which the store forgets.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn take(self) -> io::Result<Vec<u8>> {
        match self.place {
            Place::Memory(bytes) => {
                self.store.0.in_memory.fetch_sub(bytes.len() as u64, Relaxed);
                Ok(bytes)
            }
            Place::File { offset, length } => {
                let mut bytes = vec![0; length];
                self.store.0.file.get().expect("it was written").read_exact_at(&mut bytes, offset)?;
                Ok(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_memory_and_from_the_file() {
        let store = MaterialStore::new(100);
        let kept: Vec<Kept> = (0..5u8).map(|i| store.keep(vec![i; 40]).unwrap()).collect();
        assert_eq!(kept.iter().filter(|k| matches!(k.place, Place::File { .. })).count(), 3);
        for (i, kept) in kept.into_iter().enumerate() {
            assert_eq!(kept.take().unwrap(), vec![i as u8; 40]);
        }
        assert!(matches!(store.keep(vec![0; 100]).unwrap().place, Place::Memory(_)));
    }
}
