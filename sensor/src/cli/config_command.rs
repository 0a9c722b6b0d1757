//! `sensor config`: check, show, default.

use super::{ConfigCommand, Failure, Loader, print};
use crate::config;

pub(super) fn run(command: &ConfigCommand, format: Option<&String>) -> Result<u8, Failure> {
    match command {
        ConfigCommand::Default => print(&config::default_file())?,
        ConfigCommand::Show(source) => {
            let settings = Loader::new(source, format).load()?;
            print(&config::effective_file(&settings))?;
        }
        ConfigCommand::Check(source) => {
            let loader = Loader::new(source, format);
            loader.load()?;
            match &loader.path {
                Some(path) => print(&format!("{}: no problems\n", path.display()))?,
                None => print("no configuration file; environment and defaults have no problems\n")?,
            }
        }
    }
    Ok(0)
}
