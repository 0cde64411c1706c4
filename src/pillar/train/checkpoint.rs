//! A run on disk: everything that the next epoch needs, in one safetensors file that replaces the last one at once.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use burn::tensor::backend::Backend;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::TrainError;
use super::network::Tensors;
use super::settings::Settings;

/// The state between two epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What the run was told.
    pub settings: Settings,
    /// Epochs done.
    pub epochs: u32,
    /// Steps of the average of the weights.
    pub average_steps: u64,
    /// Trained tensors, running statistics, momentum, average; each a list in the order of the layout.
    pub parts: [Vec<Vec<f32>>; 4],
}

/// Names of the parts: trained tensors, running statistics, momentum, average.
const PARTS: [&str; 4] = ["tensor", "running", "velocity", "average"];

impl Checkpoint {
    /// Writes the file beside its place, then moves it there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let names = PARTS.iter().zip(&self.parts).flat_map(|(part, tensors)| {
            tensors.iter().enumerate().map(move |(index, values)| (format!("{part}.{index}"), values))
        });
        let bytes: Vec<(String, usize, &[u8])> =
            names.map(|(name, values)| (name, values.len(), bytemuck::cast_slice(values))).collect();
        let views = bytes.iter().map(|(name, count, bytes)| {
            (name.as_str(), TensorView::new(Dtype::F32, vec![*count], bytes).expect("one dimension"))
        });
        let settings = serde_json::to_string(&self.settings).expect("settings are plain data");
        let metadata = [
            ("settings".to_owned(), settings),
            ("epochs".to_owned(), self.epochs.to_string()),
            ("average_steps".to_owned(), self.average_steps.to_string()),
        ];
        write_safetensors(path, views, metadata)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read or is no checkpoint.
    pub fn read(path: &Path) -> Result<Checkpoint, TrainError> {
        let bytes = std::fs::read(path).map_err(|source| TrainError::Read { path: path.to_owned(), source })?;
        let damaged = |problem: String| TrainError::Checkpoint { path: path.to_owned(), problem };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let entry = |name: &str| metadata.get(name).ok_or_else(|| damaged(format!("it has no `{name}`")));
        let number = |name: &str| entry(name)?.parse().map_err(|_| damaged(format!("`{name}` is no number")));
        let mut parts: [Vec<Vec<f32>>; 4] = Default::default();
        for (part, tensors) in PARTS.iter().zip(&mut parts) {
            while let Ok(view) = file.tensor(&format!("{part}.{}", tensors.len())) {
                let words = view.data().as_chunks().0.iter();
                tensors.push(words.map(|&word| f32::from_le_bytes(word)).collect());
            }
        }
        Ok(Checkpoint {
            settings: serde_json::from_str(entry("settings")?).map_err(|error| damaged(error.to_string()))?,
            epochs: u32::try_from(number("epochs")?).map_err(|_| damaged("too many epochs".to_owned()))?,
            average_steps: number("average_steps")?,
            parts,
        })
    }

    /// A part on a device, if it has the sizes of `like`.
    pub(super) fn part<B: Backend>(
        &self,
        part: usize,
        like: &[Vec<f32>],
        device: &B::Device,
        path: &Path,
    ) -> Result<Tensors<B>, TrainError> {
        let sizes = |tensors: &[Vec<f32>]| tensors.iter().map(Vec::len).collect::<Vec<_>>();
        if sizes(&self.parts[part]) != sizes(like) {
            let problem = format!("its `{}` tensors are not those of {}", PARTS[part], self.settings.arch);
            return Err(TrainError::Checkpoint { path: path.to_owned(), problem });
        }
        Ok(Tensors::new(&self.parts[part], device))
    }
}

/// Writes a safetensors file beside its place, then moves it there: whoever reads it finds a whole one.
pub(super) fn write_safetensors<'a>(
    path: &Path,
    views: impl IntoIterator<Item = (&'a str, TensorView<'a>)>,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Result<(), TrainError> {
    let metadata: HashMap<String, String> = metadata.into_iter().collect();
    let bytes = safetensors::serialize(views, Some(metadata)).expect("names and sizes are consistent");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| TrainError::Write { path: path.to_owned(), source })
}
