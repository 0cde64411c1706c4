//! `manifest.json`: where, when and with what the results were made.

use super::{encoding, timestamp::rfc3339_utc};
use serde::{Deserialize, Serialize};
use std::{fs, time::SystemTime};

/// Version of the schema of all result files; raised when a column changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// The contents of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Name of the tool.
    pub tool: String,
    /// Version of the tool.
    pub version: String,
    /// The commit that was checked out when the tool was built, if it was built from a repository.
    /// Says nothing about uncommitted changes.
    pub git_commit: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC; empty while the run goes on or if it was interrupted.
    pub finished_at: Option<String>,
    /// When the run went on after an interruption; RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed_at: Vec<String>,
    /// The cells that were asked for, unless all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// Which part of how many this is, if the run was cut into parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRecord>,
    /// The folders whose results were joined, if they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<String>,
    /// What the environment told the memory allocator, if anything: it shows in the times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocator: Option<String>,
    /// The machine.
    pub host: Host,
    /// Seed of all randomness.
    pub seed: u64,
    /// BLAKE3 of the resolved scenario.
    #[serde(with = "encoding::digest")]
    pub scenario_digest: blake3::Hash,
    /// The resolved scenario, defaults filled in.
    pub scenario: serde_json::Value,
    /// Largest resident memory of the process.
    pub peak_rss_bytes: Option<u64>,
    /// What the user should know before trusting the figures.
    pub warnings: Vec<String>,
}

/// Part `index`, counted from 1, of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// From 1 on.
    pub index: usize,
    /// Number of parts.
    pub count: usize,
}

/// The machine that measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Model name of the processor, where the system tells.
    pub cpu_model: Option<String>,
    /// Processors this process may use.
    pub cores: Option<u64>,
    /// Instruction sets the kernels used.
    pub cpu_features: Vec<String>,
    /// Operating system and architecture.
    pub os: String,
}

impl Manifest {
    /// A manifest of a run that starts at `started`; [`Manifest::finish`] completes it.
    pub fn begin(
        started: SystemTime,
        host: Host,
        seed: u64,
        scenario_digest: blake3::Hash,
        scenario: serde_json::Value,
    ) -> Self {
        Manifest {
            schema_version: SCHEMA_VERSION,
            tool: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            git_commit: option_env!("LONGHAUL_GIT_COMMIT").map(str::to_owned),
            started_at: rfc3339_utc(started),
            finished_at: None,
            resumed_at: Vec::new(),
            selection: None,
            shard: None,
            merged_from: Vec::new(),
            allocator: None,
            host,
            seed,
            scenario_digest,
            scenario,
            peak_rss_bytes: None,
            warnings: Vec::new(),
        }
    }

    /// Goes on where the run that wrote `earlier` stopped: it keeps that run's start and warnings, and warns if the
    /// machine or the program is another one.
    pub fn resume(&mut self, earlier: Manifest) {
        self.resumed_at = earlier.resumed_at;
        self.resumed_at.push(std::mem::replace(&mut self.started_at, earlier.started_at));
        self.warnings = earlier.warnings;
        self.peak_rss_bytes = earlier.peak_rss_bytes;
        let program = |version, commit: Option<String>| format!("{version} {}", commit.unwrap_or_default());
        let (before, now) =
            (program(earlier.version, earlier.git_commit), program(self.version.clone(), self.git_commit.clone()));
        if before != now {
            self.warnings.push(format!("resumed with another program: {before} before, {now} after"));
        }
        if earlier.host != self.host {
            let machine = |host: &Host| host.cpu_model.clone().unwrap_or_else(|| host.os.clone());
            let (before, now) = (machine(&earlier.host), machine(&self.host));
            self.warnings.push(format!(
                "resumed on another machine ({before} before, {now} after): times of the two parts do not compare"
            ));
        }
    }

    /// Fills in what is known only at the end: the time and the peak memory.
    pub fn finish(&mut self, finished: SystemTime) {
        self.finished_at = Some(rfc3339_utc(finished));
        self.peak_rss_bytes = self.peak_rss_bytes.max(peak_rss_bytes());
    }

    /// The file's contents.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("every key is a string and every value serializes") + "\n"
    }
}

impl Host {
    /// This machine; `cpu_features` are the instruction sets the kernels chose.
    pub fn this_machine(cpu_features: Vec<String>) -> Self {
        let cores = std::thread::available_parallelism().ok();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").ok();
        Host {
            cpu_model: cpuinfo.and_then(|text| cpu_model(&text)),
            cores: cores.map(|cores| cores.get() as u64),
            cpu_features,
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// Largest resident memory of this process so far, where the system tells.
pub fn peak_rss_bytes() -> Option<u64> {
    high_water_mark(&fs::read_to_string("/proc/self/status").ok()?)
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let value = value_of(cpuinfo, "model name")?;
    (!value.is_empty()).then(|| value.to_owned())
}

fn high_water_mark(status: &str) -> Option<u64> {
    let kibibytes = value_of(status, "VmHWM")?.strip_suffix("kB")?;
    kibibytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The value of the first `key : value` line with this key.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn manifest() -> Manifest {
        let host = Host {
            cpu_model: Some("Example CPU @ 2.00GHz".into()),
            cores: Some(2),
            cpu_features: vec!["aes".into(), "avx2".into()],
            os: "linux x86_64".into(),
        };
        let mut manifest = Manifest::begin(
            UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            host,
            1,
            blake3::hash(b"scenario"),
            serde_json::json!({ "name": "quickstart", "seed": 1, "clock": "virtual" }),
        );
        manifest.version = "0.0.0".into();
        manifest.git_commit = None;
        manifest.warnings.push("input: generated images".into());
        manifest
    }

    #[test]
    fn json_keeps_the_order_of_fields_and_reads_back() {
        insta::assert_snapshot!(manifest().to_json(), @r#"
        {
          "schema_version": 1,
          "tool": "longhaul",
          "version": "0.0.0",
          "git_commit": null,
          "started_at": "2001-09-09T01:46:40Z",
          "finished_at": null,
          "host": {
            "cpu_model": "Example CPU @ 2.00GHz",
            "cores": 2,
            "cpu_features": [
              "aes",
              "avx2"
            ],
            "os": "linux x86_64"
          },
          "seed": 1,
          "scenario_digest": "ad5e2d81d02875563f1836ed86b927ba33a3bf692d30900f3912d787bc6e98bc",
          "scenario": {
            "name": "quickstart",
            "seed": 1,
            "clock": "virtual"
          },
          "peak_rss_bytes": null,
          "warnings": [
            "input: generated images"
          ]
        }
        "#);
        let back: Manifest = serde_json::from_str(&manifest().to_json()).unwrap();
        assert_eq!(back, manifest());
    }

    #[test]
    fn finishing_adds_time_and_memory() {
        let mut manifest = manifest();
        manifest.finish(UNIX_EPOCH + Duration::from_secs(1_000_000_060));
        assert_eq!(manifest.finished_at.as_deref(), Some("2001-09-09T01:47:40Z"));
        if cfg!(target_os = "linux") {
            let peak = manifest.peak_rss_bytes.unwrap();
            assert!((1 << 20..1 << 40).contains(&peak), "{peak}");
        }
    }

    #[test]
    fn the_commit_is_a_full_object_name() {
        if let Some(commit) = option_env!("LONGHAUL_GIT_COMMIT") {
            assert!([40, 64].contains(&commit.len()), "{commit}");
            assert!(commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn proc_files_are_read_and_strange_ones_ignored() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("A: B"));
        assert_eq!(cpu_model("model\t: 6\nmodel name\t:\n"), None);
        let status = "Name:\tx\nVmPeak:\t   99 kB\nVmHWM:\t   12 kB\n";
        assert_eq!(high_water_mark(status), Some(12 * 1024));
        for strange in ["", "VmHWM:\t12 MB\n", "VmHWM:\tmany kB\n"] {
            assert_eq!(high_water_mark(strange), None);
        }
    }
}
