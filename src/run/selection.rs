//! Which cells of a scenario a run measures: all of them, those that match a filter, those of one shard.

use super::Shard;
use crate::scenario::{Protocol, Scenario};
use std::fmt;
use std::str::FromStr;
use wildmatch::WildMatch;

/// A pattern for cells: `MODEL/PROTOCOL/LINK`, parts from the left, or one word that any of the three may be. `*` and `?`
/// stand for any letters and any one letter.
#[derive(Clone, Debug)]
pub struct Filter {
    text: String,
    parts: Vec<WildMatch>,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Filter, String> {
        let parts: Vec<WildMatch> = text.split('/').map(WildMatch::new).collect();
        match parts.len() {
            1..=3 if !text.is_empty() => Ok(Filter { text: text.to_string(), parts }),
            _ => Err("write MODEL/PROTOCOL/LINK, for example \"resnet20/gc/*\", or one name".to_string()),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Filter {
    fn includes(&self, cell: [&str; 3]) -> bool {
        match &self.parts[..] {
            [name] => cell.into_iter().any(|part| name.matches(part)),
            parts => parts.iter().zip(cell).all(|(pattern, part)| pattern.matches(part)),
        }
    }
}

/// What of a scenario is to be measured.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Cells that match any of these; all cells if there are none.
    pub filters: Vec<Filter>,
    /// Of the units that are left, those of this part.
    pub shard: Option<Shard>,
}

/// One model over one link with the protocols that are compared there: what stays together on one machine, because
/// repetitions of its protocols are interleaved and compared in pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Index of the model in the scenario.
    pub model: usize,
    /// Index of the link in the scenario.
    pub link: usize,
    /// Indices of the protocols in the scenario; not empty.
    pub protocols: Vec<usize>,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters = self.filters.iter().map(|filter| format!("--filter {filter}"));
        let shard = self.shard.iter().map(|shard| format!("--shard {shard}"));
        let parts: Vec<String> = filters.chain(shard).collect();
        f.write_str(if parts.is_empty() { "all cells" } else { "" })?;
        f.write_str(&parts.join(" "))
    }
}

impl Selection {
    /// Whether every cell is selected.
    pub fn is_whole(&self) -> bool {
        self.filters.is_empty() && self.shard.is_none()
    }

    /// The units to measure, by model and then link.
    pub fn units(&self, scenario: &Scenario) -> Vec<Unit> {
        let pairs =
            (0..scenario.models.len()).flat_map(|model| (0..scenario.links.len()).map(move |link| (model, link)));
        let units =
            pairs.map(|(model, link)| self.unit(scenario, model, link)).filter(|unit| !unit.protocols.is_empty());
        match self.shard {
            Some(shard) => units.enumerate().filter(|(place, _)| shard.holds(*place)).map(|(_, unit)| unit).collect(),
            None => units.collect(),
        }
    }

    fn unit(&self, scenario: &Scenario, model: usize, link: usize) -> Unit {
        let (chosen, over) = (&scenario.models[model], &scenario.links[link]);
        let runs = |protocol: &Protocol| chosen.protocols.as_ref().is_none_or(|names| names.contains(&protocol.name));
        let matches = |protocol: &Protocol| {
            let cell = [&*chosen.name, &*protocol.name, &*over.name];
            self.filters.is_empty() || self.filters.iter().any(|filter| filter.includes(cell))
        };
        let protocols =
            scenario.protocols.iter().enumerate().filter(|(_, protocol)| runs(protocol) && matches(protocol));
        Unit { model, link, protocols: protocols.map(|(index, _)| index).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::catalogue;
    use crate::scenario::{SearchPath, parse};
    use std::path::Path;

    const TEXT: &str = r#"
name = "x"
model = [{ arch = "minionn", weights = "random" }, { arch = "resnet20", weights = "random", protocols = ["gc", "fss"] }]
protocol = [{ id = "fused", polynomial = "relu-d4" }, { id = "gc" }, { id = "fss" }]
link = [{ name = "lan", rtt = "1 ms", bandwidth = "unlimited" }, { name = "wan", rtt = "100 ms", bandwidth = "unlimited" }]
"#;

    fn units(filters: &[&str], shard: Option<(usize, usize)>) -> Vec<(usize, usize, Vec<usize>)> {
        let scenario = parse(TEXT, Path::new("x.toml"), &SearchPath::default(), &catalogue()).expect("a scenario");
        let filters = filters.iter().map(|text| text.parse().expect("a filter")).collect();
        let shard = shard.map(|(index, count)| Shard { index, count });
        let units = Selection { filters, shard }.units(&scenario);
        units.into_iter().map(|unit| (unit.model, unit.link, unit.protocols)).collect()
    }

    #[test]
    fn without_a_filter_every_unit_has_the_protocols_of_its_model() {
        let expected = [(0, 0, vec![0, 1, 2]), (0, 1, vec![0, 1, 2]), (1, 0, vec![1, 2]), (1, 1, vec![1, 2])];
        assert_eq!(units(&[], None), expected);
    }

    #[test]
    fn filters_name_parts_from_the_left_or_anything() {
        assert_eq!(units(&["fused"], None), [(0, 0, vec![0]), (0, 1, vec![0])]);
        assert_eq!(units(&["resnet*/gc"], None), [(1, 0, vec![1]), (1, 1, vec![1])]);
        assert_eq!(units(&["*/f*/wan"], None), [(0, 1, vec![0, 2]), (1, 1, vec![2])]);
        assert_eq!(units(&["fused", "resnet20/gc/lan"], None), [(0, 0, vec![0]), (0, 1, vec![0]), (1, 0, vec![1])]);
        assert_eq!(units(&["vgg16"], None), []);
        assert!("a/b/c/d".parse::<Filter>().is_err() && "".parse::<Filter>().is_err());
    }

    #[test]
    fn every_unit_is_in_one_shard() {
        let whole = units(&[], None);
        for count in 1..=6 {
            let mut parts: Vec<_> = (0..count).flat_map(|index| units(&[], Some((index, count)))).collect();
            parts.sort();
            assert_eq!(parts, whole, "{count} shards");
        }
        assert_eq!(units(&[], Some((1, 3))), [(0, 1, vec![0, 1, 2])]);
    }
}
