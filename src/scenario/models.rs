//! `[[model]]`: the networks.

use std::path::Path;

use serde::Serialize;

use super::catalogue::Catalogue;
use super::error::ScenarioError;
use super::search::{DataPath, SearchPath};
use super::sections::{MODEL, NORMALIZE};
use super::table::{Names, Table, Value};

/// A network with its weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// What results call it; unique.
    pub name: String,
    /// Id of a built-in architecture.
    pub arch: String,
    /// Its weights.
    pub weights: Weights,
    /// What is done to pixels in [0, 1] first.
    pub normalize: Normalize,
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// Drawn from the scenario's seed.
    Random,
    /// A `.safetensors` file.
    File(DataPath),
}

/// Normalisation of the pixels: `(x - mean) / std` per channel, red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Pixels stay in [0, 1].
    None,
    /// The constants of torchvision's ImageNet models.
    Imagenet,
    /// Mean and standard deviation of CIFAR-10's training images.
    Cifar10,
    /// Constants from the scenario.
    Custom {
        /// Mean per channel.
        mean: [f64; 3],
        /// Standard deviation per channel, above zero.
        std: [f64; 3],
    },
}

impl Normalize {
    /// Mean and standard deviation per channel; (0, 1) for [`Normalize::None`].
    pub fn mean_and_std(self) -> ([f64; 3], [f64; 3]) {
        match self {
            Normalize::None => ([0.0; 3], [1.0; 3]),
            Normalize::Imagenet => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            Normalize::Cifar10 => ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
            Normalize::Custom { mean, std } => (mean, std),
        }
    }
}

pub(super) fn read(
    top: &Table<'_>,
    file: &Path,
    search: &SearchPath,
    catalogue: &Catalogue,
) -> Result<Vec<Model>, ScenarioError> {
    let mut names = Names::default();
    let mut model = |table: &Table<'_>| {
        let at = table.require("arch", "arch = \"minionn\"")?;
        let arch = at.text()?;
        if !catalogue.archs.contains(&arch) {
            return Err(at.unknown_word(arch, &catalogue.archs));
        }
        let at = table.get("name").unwrap_or(at);
        let name = at.label()?;
        names.claim(name, &at)?;
        Ok(Model {
            name: name.to_owned(),
            arch: arch.to_owned(),
            weights: table.read("weights", Weights::Random, |v| weights(v, file, search))?,
            normalize: table.read("normalize", Normalize::None, normalize)?,
        })
    };
    let tables = top.entries("model", &MODEL)?;
    tables.iter().map(&mut model).collect()
}

fn weights(value: &Value<'_>, file: &Path, search: &SearchPath) -> Result<Weights, ScenarioError> {
    let text = value.text()?;
    if text == "random" {
        return Ok(Weights::Random);
    }
    let path = Path::new(text);
    if path.extension() != Some("safetensors".as_ref()) {
        return Err(value.error(
            format!("\"{text}\" is neither \"random\" nor a .safetensors file"),
            "write weights = \"random\" or the path of a .safetensors file",
        ));
    }
    let found = search.find(path, file, Path::is_file).map_err(|searched| {
        value.error(format!("there is no file \"{text}\" ({searched})"), "put it there, or write weights = \"random\"")
    })?;
    Ok(Weights::File(found))
}

fn normalize(value: &Value<'_>) -> Result<Normalize, ScenarioError> {
    if !value.is_table() {
        return value.word(&[
            ("none", Normalize::None),
            ("imagenet", Normalize::Imagenet),
            ("cifar10", Normalize::Cifar10),
        ]);
    }
    let table = value.table(&NORMALIZE)?;
    let mean = table.require("mean", "mean = [0.5, 0.5, 0.5]")?;
    let std = table.require("std", "std = [0.25, 0.25, 0.25]")?;
    Ok(Normalize::Custom {
        mean: channels(&mean, |x| x.is_finite(), "a finite number")?,
        std: channels(&std, |x| x.is_finite() && x > 0.0, "a number above 0")?,
    })
}

fn channels(value: &Value<'_>, usable: fn(f64) -> bool, expected: &str) -> Result<[f64; 3], ScenarioError> {
    let list = value.list()?;
    let count = list.len();
    let Ok(list) = <[Value<'_>; 3]>::try_from(list) else {
        return Err(value.error(format!("has {count} numbers"), "write three: red, green, blue"));
    };
    let mut numbers = [0.0; 3];
    for (number, value) in numbers.iter_mut().zip(&list) {
        *number = value.float()?;
        if !usable(*number) {
            return Err(value.error(format!("{number} is out of range"), format!("write {expected}")));
        }
    }
    Ok(numbers)
}
