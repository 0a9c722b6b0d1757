//! What is written from the table of keys: the commented default file, the effective file and docs/config.md.
//! It must never hold a sentence about one key: those are in the table.

use std::fmt::Write;

use super::{
    Settings,
    keys::{self, Key},
};

/// The default file: every key commented out with its default and meaning.
pub fn default_file() -> String {
    let mut out = String::from(
        "# Configuration of sensor. Every key is optional; a commented line shows the default.\n\
         # Environment variables (in brackets) override this file, flags override both.\n\
         # SIGHUP reloads the keys marked \"reloads\".\n",
    );
    write_keys(&mut out, &|out, key, leaf| {
        out.push('\n');
        for line in wrap(key.help, 105) {
            let _ = writeln!(out, "# {line}");
        }
        let reloads = if key.reloads { "; reloads" } else { "" };
        let _ = writeln!(
            out,
            "# Values: {} [{}]{reloads}",
            key.values.replace('`', ""),
            key.env
        );
        let _ = writeln!(out, "# {leaf} = {}", key.default);
    });
    out
}

/// The settings in force, as a file that gives exactly them.
pub fn effective_file(settings: &Settings) -> String {
    let mut out = String::new();
    write_keys(&mut out, &|out, key, leaf| {
        let _ = writeln!(out, "{leaf} = {}", (key.get)(settings));
    });
    out.trim_start().to_owned()
}

/// docs/config.md.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         Generated from the table of keys; `SENSOR_WRITE_DOCS=1 cargo test -p sensor docs_` rewrites it.\n\n\
         `sensor run -c FILE` reads a TOML file (without `-c`: `/etc/sensor/sensor.toml` if it exists). Every key is optional. \
         Environment variables override the file, flags override both. `sensor config check` says what is wrong, \
         `sensor config show` prints what is in force, `sensor config default` prints a commented file.\n\n\
         | key | default | values | variable | reloads | meaning |\n|---|---|---|---|---|---|\n",
    );
    for key in keys::all() {
        let reloads = if key.reloads { "yes" } else { "no" };
        let _ = writeln!(
            out,
            "| `{}` | `{}` | {} | `{}` | {reloads} | {} |",
            key.name, key.default, key.values, key.env, key.help
        );
    }
    out
}

fn write_keys(out: &mut String, write: &dyn Fn(&mut String, &Key, &str)) {
    let mut table = "";
    for key in keys::all() {
        let (of, leaf) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if of != table {
            let _ = writeln!(out, "\n[{of}]");
            table = of;
        }
        write(out, key, leaf);
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let needs_new = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len() + 1 + word.len() > width);
        if needs_new {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
