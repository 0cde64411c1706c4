//! Where the files a scenario names are looked for.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// The directories that relative paths are looked up in after the scenario's own.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    /// `--data DIR`, if given.
    pub data: Option<PathBuf>,
    /// `$LONGHAUL_DATA`, if set.
    pub environment: Option<PathBuf>,
    /// What is not found is another party's: weights that only the server has, images that only the client has.
    pub others: bool,
}

/// A file or directory that a scenario names; it existed when the scenario was read, unless it may be another party's.
///
/// Use it as a [`Path`]: that is where it was found. It serialises as the scenario wrote it, so
/// that results do not depend on where a machine keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPath {
    written: PathBuf,
    found: PathBuf,
}

impl DataPath {
    /// The path as the scenario wrote it; only the last part of an absolute one.
    pub fn written(&self) -> &Path {
        match self.written.file_name() {
            Some(name) if self.written.is_absolute() => Path::new(name),
            _ => &self.written,
        }
    }
}

impl Deref for DataPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.found
    }
}

impl AsRef<Path> for DataPath {
    fn as_ref(&self) -> &Path {
        &self.found
    }
}

impl Serialize for DataPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written().to_string_lossy())
    }
}

impl SearchPath {
    /// Finds `written` beside `scenario`, then in `--data`, then in `$LONGHAUL_DATA`.
    ///
    /// # Errors
    ///
    /// What was searched, in words, if no `suitable` path is in any.
    pub(super) fn find(
        &self,
        written: &Path,
        scenario: &Path,
        suitable: fn(&Path) -> bool,
    ) -> Result<DataPath, String> {
        let found = |found: PathBuf| DataPath { written: written.to_owned(), found };
        if written.is_absolute() {
            return match suitable(written) {
                true => Ok(found(written.to_owned())),
                false if self.others => Ok(found(written.to_owned())),
                false => Err("an absolute path".to_owned()),
            };
        }
        let beside = match scenario.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut searched = Vec::new();
        for (place, directory) in [
            ("beside the scenario", Some(beside)),
            ("in --data", self.data.as_deref()),
            ("in $LONGHAUL_DATA", self.environment.as_deref()),
        ] {
            match directory.map(|directory| (directory, directory.join(written))) {
                Some((_, candidate)) if suitable(&candidate) => return Ok(found(candidate)),
                Some((directory, _)) => searched.push(format!("{place} ({})", directory.display())),
                None => searched.push(format!("{place} (not set)")),
            }
        }
        match self.others {
            true => Ok(found(beside.join(written))),
            false => Err(format!("searched {}", searched.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_place_wins() {
        let root = tempfile::tempdir().expect("a directory");
        let place = |name: &str| root.path().join(name);
        for name in ["beside", "data", "environment"] {
            fs::create_dir(place(name)).expect("created");
        }
        let search = SearchPath { data: Some(place("data")), environment: Some(place("environment")), others: false };
        let find = || {
            let scenario = place("beside").join("x.toml");
            search.find(Path::new("w.bin"), &scenario, Path::is_file)
        };
        assert_eq!(
            find(),
            Err(format!(
                "searched beside the scenario ({0}/beside), in --data ({0}/data), \
                 in $LONGHAUL_DATA ({0}/environment)",
                root.path().display()
            ))
        );
        for name in ["environment", "data", "beside"] {
            fs::write(place(name).join("w.bin"), "").expect("written");
            let found = find().expect("it is there");
            assert_eq!(*found, *place(name).join("w.bin"));
            assert_eq!(serde_json::to_string(&found).expect("text"), "\"w.bin\"");
        }
    }

    #[test]
    fn absolute_paths_are_only_looked_up_as_they_are() {
        let root = tempfile::tempdir().expect("a directory");
        let file = root.path().join("w.bin");
        let find = || SearchPath::default().find(&file, Path::new("x.toml"), Path::is_file);
        assert_eq!(find(), Err("an absolute path".to_owned()));
        fs::write(&file, "").expect("written");
        let found = find().expect("it is there");
        assert_eq!(*found, *file);
        assert_eq!(found.written(), Path::new("w.bin"), "no machine's path");
    }
}
