use super::*;
use crate::report::{
    fixture::{layer, message, run, three_protocols},
    manifest::Host,
    summary::{Comparison, speedups, summarize},
};
use std::time::UNIX_EPOCH;

fn text<R: Record>(records: &[R]) -> String {
    String::from_utf8(csv_bytes(records)).unwrap()
}

fn comparison() -> Comparison {
    Comparison { subject: "fused".into(), baselines: None }
}

fn manifest() -> Manifest {
    let host = Host { cpu_model: None, cores: None, cpu_features: Vec::new(), os: "test".into() };
    let digest = blake3::hash(b"");
    Manifest::begin(UNIX_EPOCH, host, 1, digest, serde_json::Value::Null)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn write_everything(folder: &Path) {
    let mut results = ResultsDir::create(folder).unwrap();
    results.keep_scenario("name = \"quickstart\"");
    for cell in three_protocols().chunks(3) {
        results.append_runs(cell).unwrap();
        results.add_layers(&[layer(&cell[0].protocol, 0)]);
        results.add_messages(vec![message(&cell[0].protocol)]);
    }
    let summaries = summarize(results.runs()).unwrap();
    let speedups = speedups(results.runs(), &comparison()).unwrap();
    results.write_all(&summaries, &speedups, &manifest()).unwrap();
    write_file(&folder.join(REPORT_FILE), b"<!doctype html>").unwrap();
}

#[test]
fn the_files_look_like_this() {
    let mut measured = run("gc", 1, 21_000);
    measured.label = Some(3);
    let mut frozen = run("fused", 0, 2_000);
    frozen.online_server_compute_s = None;
    frozen.online_client_compute_s = None;
    frozen.max_abs_error = f64::NAN;
    frozen.wrapped_activations = None;
    insta::assert_snapshot!(text(&[measured, frozen]), @r"
    scenario,model,protocol,link,repetition,image,online_s,offline_s,online_floor_s,online_server_compute_s,online_client_compute_s,online_rounds,online_bytes_up,online_bytes_down,offline_rounds,offline_bytes_up,offline_bytes_down,setup_s,setup_bytes_up,setup_bytes_down,dealer_bytes_server,dealer_bytes_client,label,prediction,reference_prediction,max_abs_error,overflowed_activations,transcript_blake3,wrapped_activations,pool,online_messages_up,online_messages_down,offline_messages_up,offline_messages_down,offline_floor_s,offline_compute_s,calibration_s
    quickstart,resnet20,gc,wan,1,0,21.000000000,0.500000000,1.900000001,0.030000000,0.000000007,39,1000000,500000,2,800,64000,1.250000000,0,2170000,32,4096,3,1,1,0.000031,0,c610e85212d0697cb161d4ba431ba603f273feee7dcb7927c9ff5d74ae6cbfa3,0,,20,20,1,19,0.400000000,0.090000000,0.002000000
    quickstart,resnet20,fused,wan,0,0,2.000000000,0.500000000,1.900000001,,,39,1000000,500000,2,800,64000,1.250000000,0,2170000,32,4096,,1,1,,0,ec2bd03bf86b935fa34d71ad7ebb049f1f10f87d343e521511d8f9e6625620cd,,,20,20,1,19,0.400000000,0.090000000,0.002000000
    ");
    insta::assert_snapshot!(text(&[layer("fused", 2)]), @r"
    scenario,model,protocol,link,layer,name,kind,elements,online_s_median,online_s_p95,offline_s_median,online_rounds,offline_rounds,online_bytes_up,online_bytes_down,offline_bytes_up,offline_bytes_down,online_path_server_s,online_path_client_s,online_path_latency_s,online_path_bandwidth_s,online_s_p50,online_s_p90,online_s_p99
    quickstart,resnet20,fused,wan,2,layer1.2.relu,activation,16384,50.123456789,60.000000000,,1,0,0,131072,131072,0,0.100000000,0.023456789,50.000000000,0.000000000,50.123000000,55.000000000,60.000000000
    ");
    let runs = three_protocols();
    insta::assert_snapshot!(text(&summarize(&runs[..3]).unwrap()), @r"
    scenario,model,protocol,link,n,online_s_median,online_s_p95,online_s_ci_low,online_s_ci_high,offline_s_median,total_s_median,online_floor_s,online_server_compute_s_median,online_client_compute_s_median,online_rounds,online_bytes_up,online_bytes_down,offline_rounds,offline_bytes_up,offline_bytes_down,setup_s_median,setup_bytes_up,setup_bytes_down,dealer_bytes_server,dealer_bytes_client,images,predictions,agreements,max_abs_error,overflowed_activations,wrapped_activations,pool,total_s_ci_low,total_s_ci_high,labelled,correct,online_messages_up,online_messages_down,offline_messages_up,offline_messages_down,offline_floor_s,offline_compute_s_median,calibration_s_median
    quickstart,resnet20,fused,wan,3,2.100000000,2.200000000,2.000000000,2.200000000,0.500000000,2.600000000,1.900000001,0.030000000,0.000000007,39,1000000,500000,2,800,64000,1.250000000,0,2170000,32,4096,1,3,3,0.000031,0,0,,2.500000000,2.700000000,0,0,20,20,1,19,0.400000000,0.090000000,0.002000000
    ");
    insta::assert_snapshot!(text(&speedups(&runs, &comparison()).unwrap()), @r"
    scenario,model,link,subject,baseline,online_speedup,online_speedup_low,online_speedup_high,total_speedup,bytes_ratio,rounds_ratio,total_speedup_low,total_speedup_high
    quickstart,resnet20,wan,fused,gc,10,10,10,8.26923076923077,16,1,8.2,8.333333333333334
    quickstart,resnet20,wan,fused,gmw,24,24,24,19.576923076923077,3,1,19.4,19.74074074074074
    ");
}

#[test]
fn the_header_of_runs_is_the_documented_one() {
    assert_eq!(
        text::<RunRecord>(&[]),
        "scenario,model,protocol,link,repetition,image,online_s,offline_s,online_floor_s,\
         online_server_compute_s,online_client_compute_s,online_rounds,online_bytes_up,\
         online_bytes_down,offline_rounds,offline_bytes_up,offline_bytes_down,setup_s,\
         setup_bytes_up,setup_bytes_down,dealer_bytes_server,dealer_bytes_client,label,prediction,\
         reference_prediction,max_abs_error,overflowed_activations,transcript_blake3,wrapped_activations,pool,\
         online_messages_up,online_messages_down,offline_messages_up,offline_messages_down,offline_floor_s,\
         offline_compute_s,calibration_s\n"
    );
}

#[test]
fn floats_have_no_exponent_and_names_may_hold_commas() {
    let mut tiny = run("fused", 0, 1);
    tiny.max_abs_error = 1e-9;
    tiny.model = "res,net \"20\"".into();
    let csv = text(&[tiny.clone()]);
    assert!(csv.contains(",0.000000001,"), "{csv}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    fs::write(&path, csv).unwrap();
    assert_eq!(read_runs(&path).unwrap(), [tiny]);
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    write_everything(folder.path());
    let runs = three_protocols();
    let file = |name: &str| folder.path().join(name);
    assert_eq!(read_runs(file("runs.csv")).unwrap(), runs);
    let layers: Vec<LayerRecord> = read_records(file("layers.csv")).unwrap();
    assert_eq!(layers.len(), 3);
    assert_eq!(layers[1], layer("gc", 0));
    let summaries: Vec<SummaryRecord> = read_records(file("summary.csv")).unwrap();
    assert_eq!(summaries, summarize(&runs).unwrap());
    let ratios: Vec<SpeedupRecord> = read_records(file("speedup.csv")).unwrap();
    assert_eq!(ratios, speedups(&runs, &comparison()).unwrap());
    assert_eq!(read_manifest(file("manifest.json")).unwrap(), manifest());
    fs::write(file("manifest.json"), "{\n  \"tool\": 7\n}").unwrap();
    let error = read_manifest(file("manifest.json")).unwrap_err();
    assert!(matches!(error, ReportError::Malformed { line: 2, .. }));
}

#[test]
fn files_of_an_earlier_version_lack_what_was_added_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("speedup.csv");
    let header = "scenario,model,link,subject,baseline,online_speedup,online_speedup_low,online_speedup_high,total_speedup,bytes_ratio,rounds_ratio";
    fs::write(&path, format!("{header}\nquickstart,resnet20,wan,fused,gc,10,9,11,8,16,1\n")).unwrap();
    let rows: Vec<SpeedupRecord> = read_records(&path).unwrap();
    assert_eq!((rows[0].rounds_ratio, rows[0].total_speedup_low), (Some(1.0), None));
    // A column of the first version may not be missing.
    fs::write(&path, header.strip_suffix(",rounds_ratio").unwrap()).unwrap();
    assert!(read_records::<SpeedupRecord>(&path).unwrap_err().to_string().contains("rounds_ratio"));
}

#[test]
fn a_row_as_cells_reads_back() {
    let mut record = run("gc", 3, 21_000);
    (record.label, record.max_abs_error) = (Some(7), 0.125);
    record.model = "with, comma and \"quotes\"".into();
    assert_eq!(from_cells::<RunRecord>(&to_cells(&record)), Ok(record.clone()));
    let mut cells = to_cells(&record);
    cells[4] = "three".into();
    assert!(from_cells::<RunRecord>(&cells).unwrap_err().contains("invalid digit"));
}

#[cfg(unix)]
#[test]
fn files_are_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    write_everything(folder.path());
    fs::write(folder.path().join("ordinary"), "").unwrap();
    let mode = |name| fs::metadata(folder.path().join(name)).unwrap();
    let mode = |name| mode(name).permissions().mode();
    assert_eq!(mode("runs.csv"), mode("ordinary"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_everything(one.path());
    write_everything(two.path());
    let expected = [
        "layers.csv",
        "manifest.json",
        "messages.csv",
        "report.html",
        "runs.csv",
        "scenario.toml",
        "speedup.csv",
        "summary.csv",
    ];
    assert_eq!(names(one.path()), expected, "and no temporary file is left");
    for name in expected {
        let bytes = |folder: &tempfile::TempDir| fs::read(folder.path().join(name)).unwrap();
        assert!(bytes(&one) == bytes(&two), "{name}");
    }
}

#[test]
fn each_cell_is_on_disk_once_appended() {
    let folder = tempfile::tempdir().unwrap();
    let runs = three_protocols();
    let mut results = ResultsDir::create(folder.path()).unwrap();
    for done in [3, 6, 9] {
        results.append_runs(&runs[done - 3..done]).unwrap();
        let on_disk = read_runs(folder.path().join("runs.csv")).unwrap();
        assert_eq!(on_disk, runs[..done]);
    }
}

#[test]
fn an_earlier_run_stays_until_the_first_write_and_then_goes_entirely() {
    let folder = tempfile::tempdir().unwrap();
    write_everything(folder.path());
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let mut results = ResultsDir::create(folder.path()).unwrap();
    assert_eq!(names(folder.path()).len(), 9);
    results.append_runs(&[run("gmw", 0, 5)]).unwrap();
    assert_eq!(names(folder.path()), ["notes.txt", "runs.csv"]);
    let on_disk = read_runs(folder.path().join("runs.csv")).unwrap();
    assert_eq!(on_disk, [run("gmw", 0, 5)]);
}

#[test]
fn only_resuming_leaves_the_journal_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_everything(folder.path());
    let begin = |resume: bool| {
        let mut results =
            if resume { ResultsDir::resume(folder.path()) } else { ResultsDir::create(folder.path()) }.unwrap();
        fs::write(results.journal(), "").unwrap();
        results.append_runs(&[run("gmw", 0, 5)]).unwrap();
        names(folder.path())
    };
    assert_eq!(begin(true), ["journal.jsonl", "manifest.json", "runs.csv", "scenario.toml"]);
    assert_eq!(begin(false), ["runs.csv"]);
}

#[test]
fn a_write_that_fails_halfway_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    write_everything(folder.path());
    let before = fs::read(folder.path().join("runs.csv")).unwrap();
    let staged = stage(folder.path(), |file| {
        file.write_all(b"scenario,mod")?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    assert_eq!(staged.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(names(folder.path()).len(), 8, "the half file is gone");
    assert_eq!(fs::read(folder.path().join("runs.csv")).unwrap(), before);
}

#[test]
fn a_file_that_cannot_be_replaced_is_named_and_memory_stays_consistent() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("runs.csv");
    fs::create_dir(&target).unwrap();
    let mut results = ResultsDir::create(folder.path()).unwrap();
    let rows = [run("gc", 0, 5)];
    let error = results.append_runs(&rows).unwrap_err();
    let message = error.to_string();
    let start = format!("{}: cannot write: ", target.display());
    assert!(message.starts_with(&start), "{message}");
    assert!(results.runs().is_empty());
    fs::remove_dir(&target).unwrap();
    results.append_runs(&rows).unwrap();
    assert_eq!(read_runs(&target).unwrap(), rows);
}

#[test]
fn an_unusable_folder_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let path = file.join("results");
    let message = ResultsDir::create(&path).unwrap_err().to_string();
    let start = format!("{}: cannot use this as a results folder: ", path.display());
    assert!(message.starts_with(&start), "{message}");
}

#[test]
fn bad_files_are_reported_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.csv");
    let good = text(&[run("gc", 0, 5), run("gc", 1, 5)]);
    let message = |contents: &str| {
        fs::write(&path, contents).unwrap();
        let message = read_runs(&path).unwrap_err().to_string();
        message.replace(&*folder.path().to_string_lossy(), "results")
    };
    let cases = [
        good.replacen("online_s,", "online_ms,", 1),
        good.replacen(",transcript_blake3", "", 1),
        String::new(),
        good.replacen("gc,wan,1,", "gc,wan,one,", 1),
        good.replacen("wan,0,0,0.005000000", "wan,0,0,5ms", 1),
        good.replacen(",39,", ",,", 1),
        good.replacen("0.000031", "inf", 1),
        good.replacen("c610e85", "c610e8", 1),
        good[..good.len() - 150].to_owned(),
    ];
    let messages: Vec<String> = cases.iter().map(|case| message(case)).collect();
    insta::assert_snapshot!(messages.join("\n"), @r#"
    results/runs.csv:1: expected "online_s" as column 7, found "online_ms"
    results/runs.csv:1: expected "transcript_blake3" as column 28, found "wrapped_activations"
    results/runs.csv:1: expected "scenario" as column 1, found the end
    results/runs.csv:3: column repetition: invalid digit found in string
    results/runs.csv:2: expected seconds with at most nine decimals, such as 1.250000000, found "5ms"
    results/runs.csv:2: column online_rounds: cannot parse integer from empty string
    results/runs.csv:2: expected a finite number, found inf
    results/runs.csv:3: expected 64 hexadecimal digits, found "c610e8212d0697cb161d4ba431ba603f273feee7dcb7927c9ff5d74ae6cbfa3"
    results/runs.csv:3: expected 37 cells, found 18
    "#);
    let missing = read_runs(folder.path().join("missing.csv")).unwrap_err();
    assert!(matches!(missing, ReportError::Read { .. }), "{missing}");
}
