//! What a merge must know of a scenario: the names of its parts, in their order.

use crate::report::{CellKey, Comparison};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// Place of a cell: by model, then link, then protocol, as they run.
pub(super) type Place = (usize, usize, usize);

#[derive(Deserialize)]
struct Names {
    name: String,
    models: Vec<Model>,
    protocols: Vec<Named>,
    links: Vec<Named>,
    speedup: Option<Speedup>,
    compute: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    /// All if not given.
    protocols: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Speedup {
    subject: String,
    baselines: Vec<String>,
}

/// The cells of a scenario and their order.
pub(super) struct Outline {
    cells: Vec<CellKey>,
    places: HashMap<CellKey, Place>,
    /// What the speedup table compares.
    pub comparison: Option<Comparison>,
    /// Whether computing takes time, so that machines matter.
    pub measures: bool,
}

impl Outline {
    /// Of the resolved scenario in a manifest.
    ///
    /// # Errors
    /// The first key that is missing or of another kind.
    pub fn new(scenario: &Value) -> Result<Outline, String> {
        let names = Names::deserialize(scenario).map_err(|error| error.to_string())?;
        let (mut cells, mut places) = (Vec::new(), HashMap::new());
        for (m, model) in names.models.iter().enumerate() {
            for (l, link) in names.links.iter().enumerate() {
                for (p, protocol) in names.protocols.iter().enumerate() {
                    if model.protocols.as_ref().is_none_or(|listed| listed.contains(&protocol.name)) {
                        let cell = CellKey {
                            scenario: names.name.clone(),
                            model: model.name.clone(),
                            protocol: protocol.name.clone(),
                            link: link.name.clone(),
                        };
                        places.insert(cell.clone(), (m, l, p));
                        cells.push(cell);
                    }
                }
            }
        }
        let comparison =
            names.speedup.map(|compared| Comparison { subject: compared.subject, baselines: Some(compared.baselines) });
        Ok(Outline { cells, places, comparison, measures: names.compute != "none" })
    }

    /// Every cell, in order.
    pub fn cells(&self) -> &[CellKey] {
        &self.cells
    }

    /// Where the cell stands; `None` if the scenario does not have it.
    pub fn place(&self, cell: &CellKey) -> Option<Place> {
        self.places.get(cell).copied()
    }
}
