//! Ctrl-C and sudden death: what is on disk is complete, or absent.

use super::{Place, TINY, json};
use longhaul::report::{RunRecord, read_runs};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far more than any test waits for.
fn endless() -> String {
    TINY.replace("repetitions = 2", "repetitions = 100000")
}

/// Ends the process when a test fails half-way.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(place: &Place) -> Running {
    let child = Command::new(env!("CARGO_BIN_EXE_longhaul"))
        .args(["run", "x.toml", "--out", "out"])
        .current_dir(place.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Running(child.expect("started"))
}

impl Running {
    /// Until the number of executions has been announced.
    fn await_start(&mut self) {
        let pipe = self.0.stderr.as_mut().expect("piped");
        let mut start = [0; 10];
        pipe.read_exact(&mut start).expect("the first words");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("the process is alive");
    }

    /// Exit code, standard error; fails after ten seconds.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = eventually("the process ends", || self.0.try_wait().expect("a child"));
        let mut stderr = String::new();
        let pipe = self.0.stderr.as_mut().expect("piped");
        pipe.read_to_string(&mut stderr).expect("UTF-8");
        (status.code(), stderr)
    }
}

/// What `probe` finds within ten seconds.
fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The rows on disk, none if there is no file; a torn file fails.
fn rows(path: &Path) -> Vec<RunRecord> {
    match path.exists() {
        true => read_runs(path).expect("complete rows"),
        false => Vec::new(),
    }
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    let place = Place::new(&endless());
    let path = place.path("out/runs.csv");
    let mut running = start(&place);
    eventually("rows on disk", || (!rows(&path).is_empty()).then_some(()));
    let asked = Instant::now();
    running.signal(Signal::INT);
    let (code, stderr) = running.end();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(code, Some(1), "{stderr}");

    let rows = rows(&path);
    let kept = match rows.len() {
        1 => "1 row was kept in out/runs.csv".to_string(),
        n => format!("{n} rows were kept in out/runs.csv"),
    };
    assert!(stderr.contains("stopping"), "{stderr}");
    assert!(stderr.ends_with(&format!("error: interrupted; {kept}\n")), "{stderr}");
    let expected = 0..rows.len() as u32;
    assert!(rows.iter().map(|row| row.repetition).eq(expected), "none left out");
    let summary = place.read("out/summary.csv");
    assert!(summary.contains(&format!("tiny,minionn,fused,wan,{},", rows.len())));
    let manifest = json(&place.read("out/manifest.json"));
    assert!(manifest["finished_at"].is_null(), "not finished: {manifest}");
}

#[test]
fn ctrl_c_before_the_first_row_leaves_earlier_results_alone() {
    let place = Place::new(TINY);
    place.command(&["run", "x.toml", "--out", "out"]).expect(0);
    let earlier = place.read("out/runs.csv");
    // Warm-up runs are not counted: there will be no row for a long time.
    let warming_up = endless().replace("warmup = 0", "warmup = 10000");
    std::fs::write(place.path("x.toml"), warming_up).expect("written");
    let mut running = start(&place);
    running.await_start();
    running.signal(Signal::INT);
    let (code, stderr) = running.end();
    assert_eq!(code, Some(1), "{stderr}");
    let end = "error: interrupted; nothing was measured, nothing was written to out\n";
    assert!(stderr.ends_with(end), "{stderr}");
    assert_eq!(place.read("out/runs.csv"), earlier);
    assert!(place.path("out/manifest.json").exists());
}

/// The first message would arrive after 30 s; under the wall clock the receiver really waits for it.
#[test]
fn ctrl_c_ends_a_wait_on_the_wall_clock() {
    let slow = TINY.replace("\"virtual\"\ncompute = \"none\"", "\"wall\"");
    let place = Place::new(&slow.replace("\"100 ms\"", "\"60 s\""));
    let mut running = start(&place);
    running.await_start();
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::INT);
    let (code, stderr) = running.end();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("nothing was measured"), "{stderr}");
}

/// The moments lie around the first writes, which come once a second.
#[test]
fn sudden_death_never_tears_a_file() {
    let place = Place::new(&endless());
    let mut most = 0;
    for millis in [1, 150, 1_000, 1_060, 1_120, 2_200] {
        let running = start(&place);
        std::thread::sleep(Duration::from_millis(millis));
        running.signal(Signal::KILL);
        drop(running);
        most = most.max(rows(&place.path("out/runs.csv")).len());
        let layers = place.path("out/layers.csv");
        assert!(!layers.exists(), "written at the end, and the end never came");
    }
    assert!(most > 0, "some of them got as far as writing rows");
}
