//! The command line as users' scripts see it: exit codes, what goes to which stream, and the message of every mistake.
//! It must never need a network of its own; what attaches to interfaces is tested in namespaces elsewhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use sensor_tests::agent;

fn sensor(arguments: &[&str]) -> Output {
    sensor_with(arguments, &[])
}

/// Runs it without any `SENSOR_*` variable but those given.
fn sensor_with(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(agent::binary().unwrap());
    command.args(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SENSOR_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A mistake: this exit code, nothing on standard output, and a message with all of `parts`.
#[track_caller]
fn fails(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(stdout(output), "", "results only on standard output");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn help_has_examples_and_goes_to_standard_output() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["doctor", "--help"],
        &["config", "--help"],
        &["models", "--help"],
        &["incidents", "--help"],
    ] {
        let output = sensor(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            stdout(&output).contains("Examples:\n  sensor "),
            "{arguments:?}: {}",
            stdout(&output)
        );
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    fails(&sensor(&["run", "--wnidow", "10s"]), 2, &["--wnidow", "--window"]);
    fails(&sensor(&["fly"]), 2, &["fly"]);
    fails(
        &sensor(&["run", "--window", "10"]),
        2,
        &["flag --window", "`window`", "\"10s\""],
    );
    fails(
        &sensor(&["config", "show", "--log-format", "xml"]),
        2,
        &["flag --log-format", "\"text\", \"json\""],
    );
}

#[test]
fn the_default_configuration_is_accepted_and_shows_itself() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sensor.toml");
    let default = sensor(&["config", "default"]);
    assert_eq!(default.status.code(), Some(0));
    fs::write(&file, &default.stdout).unwrap();
    let check = sensor(&["config", "check", "-c", path(&file)]);
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    let shown = stdout(&sensor(&["config", "show", "-c", path(&file), "-i", "eth*"]));
    assert!(shown.contains("interfaces = [\"eth*\"]"), "{shown}");
    assert!(shown.contains("window = \"10s\""), "{shown}");
}

#[test]
fn all_mistakes_of_a_configuration_are_told_at_once_with_line_and_fix() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sensor.toml");
    fs::write(&file, "windwo = \"10s\"\nattach = \"fast\"\n").unwrap();
    for command in [&["config", "check"][..], &["run"]] {
        let output = sensor(&[command, &["-c", path(&file)]].concat());
        fails(
            &output,
            2,
            &[
                "sensor.toml:1: unknown key `windwo`; did you mean `window`?",
                "sensor.toml:2: `attach`",
                "\"native\"",
            ],
        );
    }
    fails(
        &sensor(&["config", "check", "-c", "/nonexistent/sensor.toml"]),
        2,
        &["/nonexistent/sensor.toml"],
    );
}

#[test]
fn environment_overrides_and_is_named_when_it_is_wrong() {
    let shown = sensor_with(
        &["config", "show"],
        &[("SENSOR_WINDOW", "20s"), ("SENSOR_LOG", "debug")],
    );
    assert!(stdout(&shown).contains("window = \"20s\""), "{}", stdout(&shown));
    assert!(stdout(&shown).contains("level = \"debug\""));
    let wrong = sensor_with(&["config", "check"], &[("SENSOR_WINDOW", "0s")]);
    fails(&wrong, 2, &["environment variable SENSOR_WINDOW", "`window`"]);
}

#[test]
fn a_taken_port_is_exit_code_1_and_names_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let output = sensor(&[
        "run",
        "-i",
        "lo",
        "--listen",
        &address,
        "--state-dir",
        path(dir.path()),
    ]);
    fails(&output, 1, &[&address, "in use", "--listen"]);
}

#[test]
fn an_unwritable_state_directory_is_exit_code_1_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("state");
    fails(
        &sensor(&["run", "-i", "lo", "--state-dir", path(&below)]),
        1,
        &[path(&below), "--state-dir"],
    );
}

#[test]
fn a_journal_that_cannot_be_opened_is_exit_code_1_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("no/alerts.jsonl");
    let arguments = [
        "run",
        "-i",
        "lo",
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
        path(dir.path()),
        "--alerts",
    ];
    fails(
        &sensor(&[&arguments[..], &[path(&journal)]].concat()),
        1,
        &[path(&journal), "`alerts`"],
    );
}

#[test]
fn a_foreign_or_damaged_model_is_never_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let run = |extra: &[&str]| {
        let arguments = [
            "run",
            "-i",
            "lo",
            "--listen",
            "127.0.0.1:0",
            "--state-dir",
            path(&state),
        ];
        sensor(&[&arguments[..], extra].concat())
    };
    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fails(
        &run(&["--model", path(&foreign)]),
        1,
        &["foreign/manifest.json", "missing"],
    );
    fs::write(foreign.join("manifest.json"), "{\"format_version\":1").unwrap();
    fails(
        &run(&["--model", path(&foreign)]),
        1,
        &["foreign/manifest.json", "not a readable manifest"],
    );
    fails(
        &sensor(&["models", "verify", path(&foreign)]),
        3,
        &["foreign/manifest.json"],
    );
    // The model that the state directory itself names.
    fs::write(state.join("models/current"), "ae-0123456789ab\n").unwrap();
    fails(&run(&[]), 1, &["models/ae-0123456789ab"]);
    fs::write(state.join("models/current"), "../../etc\n").unwrap();
    fails(&run(&[]), 1, &["models/current", "../../etc"]);
}

#[test]
fn models_of_an_empty_state_directory_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let listed = sensor(&["models", "list", "--state-dir", path(dir.path())]);
    assert_eq!(listed.status.code(), Some(0));
    assert_eq!(stdout(&listed).lines().count(), 1, "only the heading");
    fails(
        &sensor(&["models", "show", "--state-dir", path(dir.path())]),
        3,
        &["no current model"],
    );
}

#[test]
fn doctor_answers_on_standard_output() {
    let output = sensor(&["doctor", "-i", "lo"]);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", stderr(&output));
    let text = stdout(&output);
    for part in ["kernel", "BTF", "CAP_BPF", "table memory", "interface lo", "MTU"] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    assert_eq!(
        output.status.code() == Some(4),
        text.contains("MISSING"),
        "{text}"
    );
}

#[test]
fn an_interface_that_does_not_exist_is_exit_code_2() {
    fails(&sensor(&["doctor", "-i", "nosuch0"]), 2, &["nosuch0", "lo"]);
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: loading programs needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "-i",
        "nosuch0",
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
        path(dir.path()),
    ];
    let output = sensor(&arguments);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("nosuch0"), "{}", stderr(&output));
}

#[test]
fn without_privilege_it_is_exit_code_4_with_what_to_grant() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    const NOBODY: u32 = 65_534;
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can become nobody");
        return;
    }
    // A copy, because nobody may not be let into the directory of the build.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let binary = dir.path().join("sensor");
    fs::copy(agent::binary().unwrap(), &binary).unwrap();
    let state = dir.path().join("state");
    let run = |arguments: &[&str]| {
        Command::new(&binary)
            .args(arguments)
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap()
    };
    let output = run(&[
        "run",
        "-i",
        "lo",
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
        path(&state),
    ]);
    fails(
        &output,
        4,
        &["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", "sensor doctor"],
    );
    let doctor = run(&["doctor", "-i", "lo", "--state-dir", path(&state)]);
    assert_eq!(doctor.status.code(), Some(4), "{}", stderr(&doctor));
    assert!(stdout(&doctor).contains("MISSING CAP_BPF"), "{}", stdout(&doctor));
}
