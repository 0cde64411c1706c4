//! `[input]`: the images.

use std::path::Path;

use serde::Serialize;

use super::error::ScenarioError;
use super::search::{DataPath, SearchPath};
use super::sections::INPUT;
use super::table::Table;

/// The images every cell is run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Where they come from.
    pub source: ImageSource,
    /// How many, from the first on; at least one. Every repetition runs each of them.
    pub images: usize,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageSource {
    /// Drawn from the scenario's seed; they have no label.
    Random,
    /// The drawings that come with the program, one of each class of CIFAR-10.
    Samples,
    /// CIFAR-10, binary layout.
    Cifar10 {
        /// The directory of `test_batch.bin` or `data_batch_1.bin` and so on.
        path: DataPath,
        /// Which part.
        split: Split,
    },
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Test images.
    Test,
    /// Training images.
    Train,
}

#[derive(Clone, Copy, PartialEq)]
enum Dataset {
    Random,
    Samples,
    Cifar10,
}

/// Images that come with the program.
const SAMPLES: u64 = 10;
/// Images in one file of CIFAR-10.
const CIFAR10_FILE: usize = 10_000;
/// The directory CIFAR-10's archive unpacks to.
const CIFAR10_DIRECTORY: &str = "cifar-10-batches-bin";

impl Split {
    /// The files of CIFAR-10's binary layout that hold this part, 10,000 images each, in order.
    pub fn cifar10_files(self) -> &'static [&'static str] {
        match self {
            Split::Test => &["test_batch.bin"],
            Split::Train => {
                &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]
            }
        }
    }
}

pub(super) fn read(top: &Table<'_>, file: &Path, search: &SearchPath) -> Result<Input, ScenarioError> {
    let Some(section) = top.get("input") else {
        return Ok(Input { source: ImageSource::Random, images: 1 });
    };
    let table = section.table(&INPUT)?;
    let words = [("random", Dataset::Random), ("samples", Dataset::Samples), ("cifar10", Dataset::Cifar10)];
    let dataset = table.read("dataset", Dataset::Random, |v| v.word(&words))?;
    if dataset != Dataset::Cifar10 {
        for key in ["path", "split"] {
            if let Some(value) = table.get(key) {
                let what = if dataset == Dataset::Random { "random images" } else { "the samples" };
                return Err(
                    value.error(format!("has no meaning for {what}"), "remove it, or add dataset = \"cifar10\"")
                );
            }
        }
        let (source, most) = match dataset {
            Dataset::Random => (ImageSource::Random, 1_000_000),
            _ => (ImageSource::Samples, SAMPLES),
        };
        return Ok(Input { source, images: table.read("images", 1, |v| v.integer(1..=most))? as usize });
    }
    let words = [("test", Split::Test), ("train", Split::Train)];
    let split = table.read("split", Split::Test, |v| v.word(&words))?;
    let files = split.cifar10_files();
    let most = (files.len() * CIFAR10_FILE) as u64;
    let images = table.read("images", 1, |v| v.integer(1..=most))? as usize;

    let at = table.get("path");
    let written = at.as_ref().map_or(Ok(CIFAR10_DIRECTORY), |v| v.text())?;
    let blamed = at.or_else(|| table.get("dataset")).unwrap_or(section);
    let path = search.find(Path::new(written), file, Path::is_dir).map_err(|searched| {
        blamed.error(
            format!("there is no directory \"{written}\" ({searched})"),
            "unpack CIFAR-10 (binary version) there",
        )
    })?;
    if !path.is_dir() {
        // Another party's.
        return Ok(Input { source: ImageSource::Cifar10 { path, split }, images });
    }
    let needed = &files[..images.div_ceil(CIFAR10_FILE)];
    if let Some(missing) = needed.iter().find(|name| !path.join(name).is_file()) {
        return Err(blamed.error(
            format!("{} has no file \"{missing}\"", path.display()),
            "unpack all of CIFAR-10 (binary version) there",
        ));
    }
    Ok(Input { source: ImageSource::Cifar10 { path, split }, images })
}
