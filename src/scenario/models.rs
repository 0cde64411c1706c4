//! `[[model]]`: the networks.

use std::path::Path;

use serde::Serialize;

use super::catalogue::{Catalogue, Family, Pool, Shortcut};
use super::error::ScenarioError;
use super::protocols::Protocol;
use super::search::{DataPath, SearchPath};
use super::sections::{MODEL, NORMALIZE, WEIGHTS};
use super::table::{Names, Table, Value};

/// A network with its weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// What results call it; unique.
    pub name: String,
    /// The layers.
    #[serde(flatten)]
    pub network: Network,
    /// The protocols (by name) that it runs with; all if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<String>>,
    /// What is done to pixels in [0, 1] first.
    pub normalize: Normalize,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Network {
    /// A built-in architecture.
    Arch {
        /// Its id.
        arch: String,
        /// Its weights.
        weights: Weights,
        /// Number of logits, if not the architecture's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        classes: Option<usize>,
        /// Kind of pooling, for an architecture that has the choice.
        #[serde(skip_serializing_if = "Option::is_none")]
        pool: Option<PoolChoice>,
        /// Kind of shortcuts, for an architecture that has the choice.
        #[serde(skip_serializing_if = "Option::is_none")]
        shortcut: Option<Shortcut>,
    },
    /// A network from a file, with its weights and activations.
    Onnx {
        /// An `.onnx` file.
        onnx: DataPath,
    },
}

/// How feature maps are pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolChoice {
    /// By averages under every protocol.
    Average,
    /// By maxima under every protocol; protocols of polynomials cannot.
    Max,
    /// By maxima under protocols that compute ReLU, by averages under protocols of polynomials.
    Family,
}

impl PoolChoice {
    /// The pooling under a protocol of this family.
    pub fn under(self, family: Family) -> Pool {
        match (self, family) {
            (PoolChoice::Average, _) | (PoolChoice::Family, Family::Polynomial) => Pool::Average,
            (PoolChoice::Max, _) | (PoolChoice::Family, Family::Relu) => Pool::Max,
        }
    }
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// Drawn from the scenario's seed.
    Random,
    /// Those that come with the program: trained with a polynomial for protocols of polynomials, with ReLU for the others.
    Trained,
    /// A `.safetensors` file.
    File(DataPath),
    /// Two: a network trained with polynomials and its twin trained with ReLU, each for the protocols of its family.
    Family {
        /// Under protocols of polynomials.
        polynomial: DataPath,
        /// Under protocols that compute ReLU.
        relu: DataPath,
    },
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
        let (network, default, at) = match table.get("onnx") {
            Some(at) => imported(table, at, file, search)?,
            None => {
                let at = table.require("arch", "arch = \"minionn\", or onnx = \"model.onnx\"")?;
                (built_in(table, file, search, catalogue)?, at.text()?.to_owned(), at)
            }
        };
        let (name, at) = match table.get("name") {
            Some(at) => (at.label()?.to_owned(), at),
            None => (default, at),
        };
        names.claim(&name, &at)?;
        // The weights that come with the program expect it.
        let usual = match &network {
            Network::Arch { weights: Weights::Trained, .. } => Normalize::Cifar10,
            _ => Normalize::None,
        };
        Ok(Model {
            name,
            network,
            protocols: table.read("protocols", None, |list| protocols(list).map(Some))?,
            normalize: table.read("normalize", usual, normalize)?,
        })
    };
    let tables = top.entries("model", &MODEL)?;
    tables.iter().map(&mut model).collect()
}

fn built_in(
    table: &Table<'_>,
    file: &Path,
    search: &SearchPath,
    catalogue: &Catalogue,
) -> Result<Network, ScenarioError> {
    let at = table.require("arch", "arch = \"minionn\"")?;
    let id = at.text()?;
    let Some(arch) = catalogue.archs.iter().find(|arch| arch.id == id) else {
        let ids: Vec<_> = catalogue.archs.iter().map(|arch| arch.id).collect();
        return Err(at.unknown_word(id, &ids));
    };
    let trained = || catalogue.archs.iter().filter(|arch| arch.trained).map(|arch| arch.id).collect::<Vec<_>>();
    let refuse = |value: &Value<'_>, what: &str| {
        Err(value.error(format!("\"{id}\" has no choice of {what}"), "remove it (see `longhaul list models`)"))
    };
    let pools = [("average", PoolChoice::Average), ("max", PoolChoice::Max), ("family", PoolChoice::Family)];
    let shortcuts = Shortcut::ALL.map(|shortcut| (shortcut.name(), shortcut));
    Ok(Network::Arch {
        arch: id.to_owned(),
        weights: match table.read("weights", Weights::Random, |v| weights(v, file, search))? {
            Weights::Trained if !arch.trained => {
                let value = table.get("weights").expect("it was just read");
                return Err(value.error(
                    format!("no trained weights for \"{id}\" come with longhaul"),
                    format!("write \"random\" or a .safetensors file, or take one of: {}", trained().join(", ")),
                ));
            }
            weights => weights,
        },
        classes: table.read("classes", None, |v| Ok(Some(v.integer(1..=100_000)? as usize)))?,
        pool: match table.get("pool") {
            Some(value) if arch.pools.is_empty() => return refuse(&value, "pooling"),
            Some(value) => Some(value.word(&pools)?),
            None => (!arch.pools.is_empty()).then_some(PoolChoice::Family),
        },
        shortcut: match table.get("shortcut") {
            Some(value) if arch.shortcuts.is_empty() => return refuse(&value, "shortcuts"),
            Some(value) => Some(value.word(&shortcuts)?),
            None => arch.shortcuts.first().copied(),
        },
    })
}

/// The network of an `onnx` key, and its name unless there is another: the file's without its extension.
fn imported<'t>(
    table: &Table<'t>,
    at: Value<'t>,
    file: &Path,
    search: &SearchPath,
) -> Result<(Network, String, Value<'t>), ScenarioError> {
    for key in ["arch", "weights", "classes", "pool", "shortcut"] {
        if let Some(value) = table.get(key) {
            return Err(value.error(
                format!("an ONNX file holds the whole network and leaves no choice of `{key}`"),
                "remove it, or remove onnx",
            ));
        }
    }
    let text = at.text()?;
    let path = Path::new(text);
    if path.extension() != Some("onnx".as_ref()) {
        return Err(at.error(format!("\"{text}\" is no .onnx file"), "write the path of an .onnx file"));
    }
    let found = search.find(path, file, Path::is_file).map_err(|searched| {
        at.error(format!("there is no file \"{text}\" ({searched})"), "put it there, or name another folder by --data")
    })?;
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Ok((Network::Onnx { onnx: found }, stem, at))
}

fn protocols(value: &Value<'_>) -> Result<Vec<String>, ScenarioError> {
    match value.list()? {
        list if list.is_empty() => {
            Err(value.error("the list is empty", "name at least one [[protocol]], or remove it"))
        }
        list => list.iter().map(|name| Ok(name.text()?.to_owned())).collect(),
    }
}

/// The protocols that models name must be there.
pub(super) fn check_protocols(top: &Table<'_>, protocols: &[Protocol]) -> Result<(), ScenarioError> {
    let names: Vec<&str> = protocols.iter().map(|protocol| protocol.name.as_str()).collect();
    for table in top.entries("model", &MODEL)? {
        let Some(list) = table.get("protocols") else { continue };
        for element in list.list()? {
            let name = element.text()?;
            if !names.contains(&name) {
                return Err(element.unknown_word(name, &names));
            }
        }
    }
    Ok(())
}

fn weights(value: &Value<'_>, file: &Path, search: &SearchPath) -> Result<Weights, ScenarioError> {
    if value.is_table() {
        let table = value.table(&WEIGHTS)?;
        let path = |key: &str| {
            let value = table.require(key, &format!("{key} = \"{key}.safetensors\""))?;
            weights_file(&value, (file, search), ("no .safetensors file", "write the path of a .safetensors file"))
        };
        return Ok(Weights::Family { polynomial: path("polynomial")?, relu: path("relu")? });
    }
    match value.text()? {
        "random" => return Ok(Weights::Random),
        "trained" => return Ok(Weights::Trained),
        _ => {}
    }
    let words = (
        "neither \"random\" nor \"trained\" nor a .safetensors file",
        "write weights = \"random\" or the path of a .safetensors file",
    );
    weights_file(value, (file, search), words).map(Weights::File)
}

/// An existing `.safetensors` file; `fault` and `remedy` are for anything else.
fn weights_file(
    value: &Value<'_>,
    (file, search): (&Path, &SearchPath),
    (fault, remedy): (&str, &str),
) -> Result<DataPath, ScenarioError> {
    let text = value.text()?;
    let path = Path::new(text);
    if path.extension() != Some("safetensors".as_ref()) {
        return Err(value.error(format!("\"{text}\" is {fault}"), remedy));
    }
    search.find(path, file, Path::is_file).map_err(|searched| {
        value.error(format!("there is no file \"{text}\" ({searched})"), "put it there, or write weights = \"random\"")
    })
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
