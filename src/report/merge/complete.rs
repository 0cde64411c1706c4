//! Whether parts belong together, and whether any is missing.

use super::outline::Outline;
use super::{MergeError, Part};
use crate::report::{CellKey, LayerRecord, MessageRecord, RunRecord, first_difference};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Cells that a message names; of more it tells the number.
const NAMED_CELLS: usize = 4;

/// Whether `part` belongs to the scenario of `first`.
pub(super) fn same_scenario(first: &Part, part: &Part) -> Result<(), MergeError> {
    if part.manifest.scenario_digest == first.manifest.scenario_digest {
        return Ok(());
    }
    let difference = first_difference(&first.manifest.scenario, &part.manifest.scenario);
    Err(MergeError::OtherScenario {
        first: first.folder.clone(),
        second: part.folder.clone(),
        difference: difference.unwrap_or_else(|| "scenario_digest is another one".to_string()),
    })
}

/// Shards that are not there, in words.
pub(super) fn missing_shards(parts: &[Part]) -> Result<Option<String>, MergeError> {
    let mut runs: BTreeMap<(String, usize), BTreeMap<usize, &Part>> = BTreeMap::new();
    for part in parts {
        let Some(shard) = part.manifest.shard else { continue };
        let found = runs.entry((part.filters(), shard.count)).or_default();
        if let Some(earlier) = found.insert(shard.index, part) {
            let shard = format!("{}/{}", shard.index, shard.count);
            return Err(MergeError::SameShard { shard, first: earlier.folder.clone(), second: part.folder.clone() });
        }
    }
    let words = runs.into_iter().filter_map(|((filters, count), found)| {
        let missing: Vec<String> =
            (1..=count).filter(|index| !found.contains_key(index)).map(|i| i.to_string()).collect();
        let of = if filters.is_empty() { String::new() } else { format!(" of the run with {filters}") };
        match &missing[..] {
            [] => None,
            [one] => Some(format!("shard {one} of {count}{of} is missing")),
            [most @ .., last] => Some(format!("shards {} and {last} of {count}{of} are missing", most.join(", "))),
        }
    });
    let words: Vec<String> = words.collect();
    Ok((!words.is_empty()).then(|| words.join("; ")))
}

/// Cells of the scenario that no part has, in words.
pub(super) fn missing_cells(parts: &[Part], outline: &Outline) -> Result<Option<String>, MergeError> {
    let mut found: HashMap<CellKey, &Part> = HashMap::new();
    for part in parts {
        let runs = part.runs.iter().map(RunRecord::cell);
        let others = part.layers.iter().map(LayerRecord::cell).chain(part.messages.iter().map(MessageRecord::cell));
        let cells: BTreeSet<CellKey> = runs.chain(others).collect();
        for cell in cells {
            if outline.place(&cell).is_none() {
                return Err(MergeError::UnknownCell { folder: part.folder.clone(), cell: Box::new(cell) });
            }
            if let Some(earlier) = found.get(&cell) {
                let (first, second) = (earlier.folder.clone(), part.folder.clone());
                return Err(MergeError::SameCell { cell: Box::new(cell), first, second });
            }
            found.insert(cell, part);
        }
    }
    let missing = outline.cells().iter().filter(|cell| !found.contains_key(cell));
    let missing: Vec<String> = missing.map(|cell| format!("{}/{}/{}", cell.model, cell.protocol, cell.link)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let more = match missing.len().saturating_sub(NAMED_CELLS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = missing[..missing.len().min(NAMED_CELLS)].join(", ");
    Ok(Some(format!("{} of {} cells are missing: {named}{more}", missing.len(), outline.cells().len())))
}

/// The filters of the run, if the parts are shards of one filtered run.
pub(super) fn common_filters(parts: &[Part]) -> Option<String> {
    let filters = parts[0].filters();
    let is_shard_of_it = |part: &Part| part.manifest.shard.is_some() && part.filters() == filters;
    (!filters.is_empty() && parts.iter().all(is_shard_of_it)).then_some(filters)
}
