//! The names a scenario may use, and the nearest one to a name that is not among them.

pub use crate::nn::arch::{Pool, Shortcut};
pub use crate::protocol::activation::{Family, Setting};

/// The ids that exist, in the order to list them in; the caller knows the registries.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Activation protocols.
    pub protocols: Vec<KnownProtocol>,
    /// Built-in architectures.
    pub archs: Vec<KnownArch>,
    /// Link models.
    pub link_models: Vec<KnownLinkModel>,
}

/// A link model that exists.
#[derive(Clone, Copy, Debug)]
pub struct KnownLinkModel {
    /// Its id.
    pub id: &'static str,
    /// Whether it has windows and losses to set.
    pub transport: bool,
}

/// An architecture that exists, with what may be chosen about it.
#[derive(Clone, Copy, Debug)]
pub struct KnownArch {
    /// Its id.
    pub id: &'static str,
    /// Kinds of pooling.
    pub pools: &'static [Pool],
    /// Kinds of shortcuts.
    pub shortcuts: &'static [Shortcut],
    /// Whether weights for it come with the program.
    pub trained: bool,
}

/// An activation protocol that exists.
#[derive(Clone, Copy, Debug)]
pub struct KnownProtocol {
    /// Its id.
    pub id: &'static str,
    /// What it computes.
    pub family: Family,
    /// What a scenario may set.
    pub settings: &'static [Setting],
}

/// `did you mean "gmw"? known: gc, gmw`, or without the question if nothing is near.
pub(super) fn known(word: &str, names: &[&str]) -> String {
    let list = format!("known: {}", names.join(", "));
    match nearest(word, names) {
        Some(name) => format!("did you mean \"{name}\"? {list}"),
        None => list,
    }
}

/// The name that a slip of the pen may have turned into `word`.
pub(super) fn nearest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let word = word.to_lowercase();
    let near = |name: &&str| distance(&word, &name.to_lowercase());
    let (slips, name) = names.iter().map(|n| (near(n), *n)).min_by_key(|(d, _)| *d)?;
    let allowed = (word.chars().count().max(name.chars().count()) / 3).max(1);
    (slips <= allowed).then_some(name)
}

/// Levenshtein distance in which exchanging two neighbours counts once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("gc", "", 2), ("kitten", "sitting", 3), ("rtt", "trt", 1), ("wieghts", "weights", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["minionn", "resnet20", "resnet110", "vgg16"];
        assert_eq!(nearest("resnet-20", &names), Some("resnet20"));
        assert_eq!(nearest("MiniONN", &names), Some("minionn"));
        assert_eq!(nearest("alexnet", &names), None);
        assert_eq!(nearest("x", &[]), None);
        assert_eq!(known("vgg", &names[..1]), "known: minionn", "far names are only listed");
    }
}
