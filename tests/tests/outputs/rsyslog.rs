//! Incidents in a real rsyslog: UDP, TCP, TLS and a unix socket, killed and started again.

use std::{
    collections::BTreeSet, fs, os::unix::net::UnixDatagram, path::Path, process::Command, time::Duration,
};

use crate::bench::{Bench, Running, alert, free_port, program, until};

const PROGRAM: &str = "rsyslogd";
/// Writes what rsyslog made of a message: header, structured data, text.
const TEMPLATE: &str = r#"template(name="parts" type="string" string="%hostname%|%app-name%|%msgid%|%syslogfacility-text%|%syslogseverity-text%|%structured-data%|%msg%\n")"#;

/// Starts rsyslog with an input; what it receives goes to a file beside its configuration.
fn start(bench: &Bench, input: &str) -> Running {
    let conf = bench.path("rsyslog.conf");
    let text = format!(
        "global(workDirectory=\"{}\" maxMessageSize=\"16k\")\n{input}\n{TEMPLATE}\naction(type=\"omfile\" file=\"{}\" template=\"parts\")\n",
        bench.path("").display(),
        bench.path("received").display(),
    );
    fs::write(&conf, text).unwrap();
    let pid = bench.path("rsyslog.pid");
    // One that was killed leaves its file behind.
    let _ = fs::remove_file(&pid);
    let conf = conf.display().to_string();
    let pid = pid.display().to_string();
    Running::start(
        "/usr/sbin/rsyslogd",
        &bench.path("rsyslog.log"),
        &["-n", "-f", &conf, "-i", &pid],
    )
}

fn received(bench: &Bench) -> Vec<String> {
    let text = fs::read_to_string(bench.path("received")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn ids(bench: &Bench) -> BTreeSet<String> {
    received(bench)
        .iter()
        .filter_map(|line| {
            line.split_once(" id=\"")?
                .1
                .split_once('"')
                .map(|(id, _)| id.to_owned())
        })
        .collect()
}

fn expected(numbers: std::ops::RangeInclusive<u64>) -> BTreeSet<String> {
    numbers.map(|number| format!("{number:016x}-{number}")).collect()
}

/// What rsyslog understood is what was meant.
fn understood(bench: &Bench) {
    let line = received(bench).into_iter().next().unwrap();
    let parts: Vec<&str> = line.splitn(7, '|').collect();
    assert_eq!(
        parts[..5],
        ["box", "sensor", "INCIDENT", "local0", "warning"],
        "{line}"
    );
    assert!(
        parts[5].starts_with("[incident@32473 id=\"0000000000000001-1\"") && parts[5].ends_with(']'),
        "{line}"
    );
    assert!(
        parts[6].ends_with("192.0.2.66 tried 1,004 ports of 198.51.100.7 [tcp] in 10 s"),
        "{line}"
    );
}

fn tcp_input(port: u16) -> String {
    format!("module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")")
}

/// Sends a few and looks at them.
fn a_few(
    input: impl FnOnce(&Bench, u16) -> String,
    address: impl FnOnce(&Bench, u16) -> String,
    more: &[(&str, &str)],
) {
    if !program(PROGRAM, "rsyslog") {
        return;
    }
    let mut bench = Bench::new();
    let port = free_port();
    let input = input(&bench, port);
    let rsyslog = start(&bench, &input);
    let address = address(&bench, port);
    let mut variables = vec![("SYSLOG_ADDRESS", address.as_str())];
    variables.extend(more);
    let sinks = bench.start(&variables, &["syslog"]);
    for number in 1..=5 {
        bench.write(&alert(number, "open"));
    }
    until("all are there", || ids(&bench) == expected(1..=5));
    understood(&bench);
    sinks.close(Duration::from_secs(5));
    rsyslog.kill();
}

#[test]
fn over_tcp_every_part_arrives_as_it_was_meant() {
    a_few(
        |_, port| tcp_input(port),
        |_, port| format!("tcp://127.0.0.1:{port}"),
        &[],
    );
}

#[test]
fn over_a_unix_socket_every_part_arrives_as_it_was_meant() {
    a_few(
        |bench, _| {
            let socket = bench.path("log");
            format!(
                "module(load=\"imuxsock\" sysSock.use=\"off\")\ninput(type=\"imuxsock\" socket=\"{}\" useSpecialParser=\"off\" parseHostname=\"on\")",
                socket.display()
            )
        },
        |bench, _| {
            let socket = bench.path("log");
            until("rsyslog listens", || {
                UnixDatagram::unbound().unwrap().connect(&socket).is_ok()
            });
            format!("unix://{}", socket.display())
        },
        &[],
    );
}

#[test]
fn over_udp_every_part_arrives_as_it_was_meant() {
    a_few(
        |_, port| {
            format!("module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")")
        },
        |_, port| format!("udp://127.0.0.1:{port}"),
        &[],
    );
}

/// A certificate for `localhost` that vouches for itself.
fn certificate(directory: &Path) {
    let made = Command::new("openssl")
        .current_dir(directory)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn tls_input(bench: &Bench, port: u16) -> String {
    let (cert, key) = (bench.path("cert.pem"), bench.path("key.pem"));
    format!(
        "global(defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{0}\" defaultNetstreamDriverCertFile=\"{0}\" defaultNetstreamDriverKeyFile=\"{1}\")\n\
         module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")",
        cert.display(),
        key.display()
    )
}

fn has_tls() -> bool {
    let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let found = libraries
        .iter()
        .any(|path| Path::new(path).join("rsyslog/lmnsd_gtls.so").exists());
    program("openssl", "openssl")
        && (found
            || sensor_tests::require::skip("needs rsyslog's gtls driver (Debian package rsyslog-gnutls)"))
}

#[test]
fn over_tls_messages_go_only_to_a_collector_that_is_vouched_for() {
    if !program(PROGRAM, "rsyslog") || !has_tls() {
        return;
    }
    let mut bench = Bench::new();
    let port = free_port();
    certificate(&bench.path(""));
    let input = tls_input(&bench, port);
    let _rsyslog = start(&bench, &input);
    let ca = bench.path("cert.pem").display().to_string();
    // Under another name nobody vouches for it.
    let wrong = format!("tls://127.0.0.1:{port}");
    let sinks = bench.start(
        &[("SYSLOG_ADDRESS", &wrong), ("SYSLOG_CA_FILE", &ca)],
        &["syslog"],
    );
    for number in 1..=5 {
        bench.write(&alert(number, "open"));
    }
    until("it was refused", || bench.failed("syslog") >= 2);
    sinks.close(Duration::from_millis(100));
    assert_eq!(received(&bench), Vec::<String>::new());
    let right = format!("tls://localhost:{port}");
    let sinks = bench.start(
        &[("SYSLOG_ADDRESS", &right), ("SYSLOG_CA_FILE", &ca)],
        &["syslog"],
    );
    until("all are there", || ids(&bench) == expected(1..=5));
    understood(&bench);
    sinks.close(Duration::from_secs(5));
}

#[test]
fn a_killed_rsyslog_misses_nothing_once_it_is_back() {
    if !program(PROGRAM, "rsyslog") {
        return;
    }
    let mut bench = Bench::new();
    let port = free_port();
    let rsyslog = start(&bench, &tcp_input(port));
    let address = format!("tcp://127.0.0.1:{port}");
    let sinks = bench.start(&[("SYSLOG_ADDRESS", &address)], &["syslog"]);
    for number in 1..=300 {
        bench.write(&alert(number, "open"));
    }
    until("something is there", || !ids(&bench).is_empty());
    rsyslog.kill();
    for number in 301..=600 {
        bench.write(&alert(number, "open"));
    }
    until("sending failed", || bench.failed("syslog") > 0);
    let _rsyslog = start(&bench, &tcp_input(port));
    for number in 601..=700 {
        bench.write(&alert(number, "open"));
    }
    until("all are there", || ids(&bench) == expected(1..=700));
    sinks.close(Duration::from_secs(5));
}
