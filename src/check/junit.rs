//! The findings as JUnit XML, which most CI systems show.

use super::{Finding, Report};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

/// A test case per cell and one for what concerns all cells, each with its findings.
pub fn junit(report: &Report) -> String {
    let mut suite = TestSuite::new("longhaul check");
    let cells = report.cells.iter().map(Some);
    for cell in [None].into_iter().chain(cells) {
        let name = cell.map_or_else(|| "scenario".to_string(), |cell| cell.to_string());
        let findings: Vec<&Finding> = report.of_cell(cell).collect();
        suite.add_test_case(case(name, &findings));
    }
    if !report.notes.is_empty() {
        suite.set_system_out(report.notes.join("\n"));
    }
    let mut junit = quick_junit::Report::new("longhaul");
    junit.add_test_suite(suite);
    junit.to_string().expect("text that a string takes")
}

fn case(name: String, findings: &[&Finding]) -> TestCase {
    let sentences =
        |fails: bool| findings.iter().filter(|f| f.kind.fails() == fails).map(|f| f.sentence()).collect::<Vec<_>>();
    let (failures, information) = (sentences(true), sentences(false));
    let status = match failures.first() {
        None => TestCaseStatus::success(),
        Some(first) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let kinds: Vec<&str> = findings.iter().filter(|f| f.kind.fails()).map(|f| f.kind.word()).collect();
            status.set_type(kinds[0]).set_message(first).set_description(failures.join("\n"));
            status
        }
    };
    let mut case = TestCase::new(name, status);
    case.set_classname("longhaul");
    if !information.is_empty() {
        case.set_system_out(information.join("\n"));
    }
    case
}
