//! Tests of the configuration: every error names key, line and fix; the documents are what the table says.
//! It must never depend on time or on the network beyond this machine.

use std::io::Write;

use super::*;

fn none(_: &str) -> Option<String> {
    None
}

fn from_text(text: &str) -> Result<Settings, Problems> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(Some(file.path()), &none, &[])
}

fn message(text: &str) -> String {
    from_text(text).unwrap_err().to_string()
}

#[test]
fn defaults_are_valid_and_survive_a_round_trip() {
    let defaults = load(None, &none, &[]).unwrap();
    assert_eq!(from_text(&effective_file(&defaults)).unwrap(), defaults);
    assert_eq!(from_text(&default_file()).unwrap(), defaults);
    let uncommented: String = default_file()
        .lines()
        .filter_map(|line| {
            let bare = line.strip_prefix("# ").filter(|bare| {
                keys::all()
                    .any(|key| *bare == format!("{} = {}", key.name.rsplit('.').next().unwrap(), key.default))
            });
            bare.or_else(|| line.starts_with('[').then_some(line))
        })
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(
        uncommented.lines().filter(|line| line.contains(" = ")).count(),
        keys::all().count()
    );
    assert_eq!(from_text(&uncommented).unwrap(), defaults);
}

#[test]
fn an_unknown_key_is_refused_with_line_and_nearest_name() {
    let text = message("egress = true\nwindwo = \"10s\"\n");
    assert!(
        text.contains(":2: unknown key `windwo`; did you mean `window`?"),
        "{text}"
    );
    let text = message("[log]\nlvel = \"info\"\n");
    assert!(
        text.contains(":2: unknown key `log.lvel`; did you mean `log.level`?"),
        "{text}"
    );
    let text = message("zzz = 1\n");
    assert!(text.contains("`sensor config default` lists all keys"), "{text}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let Problems(problems) =
        from_text("window = 10\negress = \"perhaps\"\nlisten = \"nowhere\"\n").unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn wrong_values_name_the_key_and_the_fix() {
    for (text, wanted) in [
        (
            "window = 10\n",
            "`window`: 10 has no unit: write \"10s\" or \"10m\"",
        ),
        (
            "window = \"500s\"\n",
            "`window`: \"500s\" is out of range: write 1s to 5m",
        ),
        (
            "table_bytes = \"1KiB\"\n",
            "`table_bytes`: expected a size from 1MiB to 16GiB",
        ),
        (
            "attach = \"fast\"\n",
            "expected one of \"auto\", \"native\", \"generic\", \"tcx\", found \"fast\"",
        ),
        ("interfaces = [\"eth 0\"]\n", "\"eth 0\" is no interface name"),
        ("interfaces = [1]\n", "expected a list"),
        (
            "local_networks = [\"10.0.0.1/8\"]\n",
            "has bits set behind its prefix",
        ),
        (
            "alarm_budget_per_day = 0\n",
            "expected a number from 0.001 to 1000, found 0",
        ),
        ("seed = -1\n", "or \"random\""),
        ("log.level = \"info,=\"\n", "`log.level`"),
        ("egress = \n", "not valid TOML"),
        (
            "window = \"1s\"\nidle_timeout=\"300s\"\ndrain_interval = \"2s\"\n",
            "`drain_interval` and `window`",
        ),
    ] {
        let found = message(text);
        assert!(found.contains(wanted), "{text}: {found}");
    }
}

#[test]
fn flags_override_the_environment_and_that_overrides_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"window = \"20s\"\nlearn = \"2m\"\nmax_hosts = 100\n")
        .unwrap();
    let variables = |name: &str| match name {
        "SENSOR_WINDOW" => Some("30s".to_owned()),
        "SENSOR_LEARN" => Some("3m".to_owned()),
        "SENSOR_INTERFACES" => Some("eth0, wlan*".to_owned()),
        _ => None,
    };
    let flag = Override {
        key: "window",
        flag: "--window",
        value: Value::Text("40s".into()),
    };
    let settings = load(Some(file.path()), &variables, &[flag]).unwrap();
    assert_eq!(settings.window, Duration::from_secs(40));
    assert_eq!(settings.learn, Duration::from_mins(3));
    assert_eq!(settings.max_hosts, 100);
    assert_eq!(settings.interfaces.len(), 2);
    let bad = Override {
        key: "window",
        flag: "--window",
        value: Value::Text("x".into()),
    };
    let text = load(None, &none, &[bad]).unwrap_err().to_string();
    assert!(
        text.starts_with("flag --window: `window`: expected a duration"),
        "{text}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let text = load(Some(Path::new("/nonexistent.toml")), &none, &[])
        .unwrap_err()
        .to_string();
    assert!(text.contains("/nonexistent.toml"), "{text}");
}

#[test]
fn patterns_match_as_in_a_shell() {
    for (pattern, name, expected) in [
        ("eth0", "eth0", true),
        ("eth1", "eth10", false),
        ("eth*", "eth10", true),
        ("eth*", "weth0", false),
        ("*", "lo", true),
        ("e?h?", "eth0", true),
        ("e?h?", "eth", false),
        ("*a*b", "xaxxb", true),
    ] {
        assert_eq!(
            pattern.parse::<Pattern>().unwrap().matches(name),
            expected,
            "{pattern} {name}"
        );
    }
    assert!("averylonginterfacename".parse::<Pattern>().is_err());
}

#[test]
fn networks_map_ipv4_into_ipv6() {
    let network: Network = "10.0.0.0/8".parse().unwrap();
    let (address, len) = network.mapped();
    assert_eq!(len, 104);
    assert_eq!(&address[10..], &[0xff, 0xff, 10, 0, 0, 0]);
    assert!("0.0.0.0/0".parse::<Network>().is_ok());
    assert!("::/0".parse::<Network>().is_ok());
    assert!("fe80::1/10".parse::<Network>().is_err());
    assert!("10.0.0.0/33".parse::<Network>().is_err());
}

#[test]
fn a_reload_names_what_changed_and_what_waits() {
    let old = load(None, &none, &[]).unwrap();
    let mut new = old.clone();
    new.window = Duration::from_secs(20);
    new.log_level = "debug".into();
    let found = changes(&old, &new);
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .any(|change| change.key == "window" && !change.reloads && change.new == "\"20s\"")
    );
    assert!(
        found
            .iter()
            .any(|change| change.key == "log.level" && change.reloads)
    );
}

#[test]
fn docs_config_md_is_current() {
    crate::metrics::docs::assert_current("config.md", &markdown());
}
