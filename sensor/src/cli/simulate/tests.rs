//! Tests of the command: exit codes and files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{io::Read, path::Path};

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    simulate: Simulate,
}

fn run_line(line: &str) -> Result<u8, Failure> {
    let words = std::iter::once("simulate").chain(line.split(' '));
    run(&Line::try_parse_from(words).unwrap().simulate)
}

fn refused(line: &str) -> (u8, String) {
    let failure = run_line(line).unwrap_err();
    (failure.code, failure.message)
}

fn inside(directory: &Path, line: &str) -> String {
    line.replace("DIR", directory.to_str().unwrap())
}

#[test]
fn the_list_shows_every_scenario_with_its_parameters() {
    let list = list();
    for scenario in SCENARIOS {
        assert!(list.contains(scenario.summary));
        let shown = |parameter: &simulate::Parameter| list.contains(parameter.help);
        assert!(scenario.parameters.iter().all(shown));
    }
    assert_eq!(run_line("list").unwrap(), 0);
}

#[test]
fn wrong_usage_is_told_and_ends_with_2() {
    let (code, message) = refused("syn-flod -o /dev/null --labels /dev/null");
    assert_eq!(code, exit::USAGE);
    assert!(message.contains("\"syn-flood\""), "{message}");
    let (code, message) = refused("syn-flood");
    assert_eq!(code, exit::USAGE);
    assert!(message.contains("-o CAPTURE"), "{message}");
    let (code, message) = refused("beaconing --set period=x -o /dev/null --labels /dev/null");
    assert_eq!(code, exit::USAGE);
    assert!(message.contains("period"), "{message}");
    assert_eq!(
        refused("syn-flood --base - -o /dev/null --labels /dev/null").0,
        exit::USAGE
    );
}

#[test]
fn a_base_that_cannot_be_read_ends_with_3_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (code, message) = refused(&inside(
        path,
        "syn-flood --base DIR/none.pcap -o DIR/a.pcap --labels DIR/a.csv",
    ));
    assert_eq!(code, exit::INPUT);
    assert!(message.contains("none.pcap"), "{message}");
    assert!(!path.join("a.pcap").exists() && !path.join("a.csv").exists());
    std::fs::write(path.join("text"), "not a capture at all, whatever it is").unwrap();
    let line = inside(path, "syn-flood --base DIR/text -o DIR/a.pcap --labels DIR/a.csv");
    assert_eq!(refused(&line).0, exit::INPUT);
}

#[test]
fn gzip_is_chosen_by_suffix_and_a_made_capture_serves_as_base() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let plain = "ordinary --duration 60s -o DIR/a.pcap --labels DIR/a.csv";
    let zipped = "ordinary --duration 60s -o DIR/a.pcap.gz --labels DIR/a.csv";
    assert_eq!(run_line(&inside(path, plain)).unwrap(), 0);
    assert_eq!(run_line(&inside(path, zipped)).unwrap(), 0);
    let plain = std::fs::read(path.join("a.pcap")).unwrap();
    let mut unzipped = Vec::new();
    let file = File::open(path.join("a.pcap.gz")).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut unzipped)
        .unwrap();
    assert!(plain == unzipped && plain.len() > 10_000);
    assert_eq!(
        std::fs::read_to_string(path.join("a.csv")).unwrap(),
        "frame,label\n"
    );

    let mixed = "arp-storm --set length=5s --base DIR/a.pcap.gz -o DIR/b.pcap --labels DIR/b.csv";
    assert_eq!(run_line(&inside(path, mixed)).unwrap(), 0);
    let labels = std::fs::read_to_string(path.join("b.csv")).unwrap();
    assert!(labels.lines().count() > 6000);
    let over = "arp-storm --base DIR/a.pcap -o DIR/a.pcap --labels DIR/b.csv";
    assert_eq!(refused(&inside(path, over)).0, exit::USAGE);
    assert_eq!(
        std::fs::read(path.join("a.pcap")).unwrap(),
        plain,
        "the base is untouched"
    );
}

#[test]
fn a_damaged_base_is_used_as_far_as_it_goes_and_ends_with_3() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let make = "ordinary --duration 60s -o DIR/a.pcap --labels DIR/a.csv";
    assert_eq!(run_line(&inside(path, make)).unwrap(), 0);
    let mut bytes = std::fs::read(path.join("a.pcap")).unwrap();
    bytes.truncate(bytes.len() - 7);
    std::fs::write(path.join("a.pcap"), bytes).unwrap();
    let mixed = "arp-storm --set length=5s --base DIR/a.pcap -o DIR/b.pcap --labels DIR/b.csv";
    assert_eq!(run_line(&inside(path, mixed)).unwrap(), exit::INPUT);
    assert!(path.join("b.pcap").metadata().unwrap().len() > 100_000);
}

#[test]
fn times_are_written_as_people_say_them() {
    let told = [300_000_000, 12_000_000_000, 270_000_000_000, 4_800_000_000_000].map(short);
    assert_eq!(told, ["300ms", "12s", "4m30s", "1h20m"]);
}
