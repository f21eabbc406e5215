//! Reading the configuration: the file, then `TOLLGATE_<SECTION>__<KEY>` variables over it.

use super::{Config, Environment, prices, suggest::with_suggestion};
use std::path::{Path, PathBuf};

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named on the command line cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not right; the message has line and column.
    #[error("{path}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A file of prices is not right.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A variable is not right.
    #[error("environment variable {name}: {message}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "tollgate.toml";

impl Config {
    /// Reads the file named, else `tollgate.toml` if there is one, else nothing; then the
    /// environment over it.
    ///
    /// # Errors
    /// When the file or a variable is not right; nothing is guessed or ignored.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                String::new()
            }
            Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        };
        Self::parse(path, &text, environment)
    }

    /// As [`Config::load`], from text.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let invalid = |message| ConfigError::Invalid { path: path.to_owned(), message };
        // Parsed as a whole first, because only this parse knows lines and columns.
        let mut config: Self =
            toml::from_str(text).map_err(|e| invalid(with_suggestion(&e.to_string())))?;
        config.validate().map_err(invalid)?;
        prices::validate(&config.prices, text).map_err(invalid)?;
        let mut table: toml::Table = toml::from_str(text).map_err(|e| invalid(e.to_string()))?;
        for variable in environment.overrides() {
            let wrong = |message| ConfigError::Variable { name: variable.name.to_owned(), message };
            put(&mut table, &variable.section, &variable.key, variable.value).map_err(wrong)?;
            let read = table.clone().try_into();
            config = read.map_err(|e| wrong(with_suggestion(&e.to_string())))?;
            config.validate().map_err(wrong)?;
        }
        Ok(config)
    }
}

fn put(table: &mut toml::Table, section: &str, key: &str, value: &str) -> Result<(), String> {
    let entry = table.entry(section).or_insert_with(|| toml::Table::new().into());
    let Some(section_table) = entry.as_table_mut() else {
        return Err(format!("{section} is a list: set it in the file"));
    };
    let value = match value.parse::<i64>() {
        Ok(number) => toml::Value::Integer(number),
        Err(_) => toml::Value::String(value.to_owned()),
    };
    section_table.insert(key.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("t.toml"), text, &Environment::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:8787");
        assert_eq!(config.store.sqlite_path(), Ok("data/tollgate.db"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_place_and_suggestion() {
        let error = parse("[server]\nlisen = \"127.0.0.1:1\"\n").unwrap_err();
        for expected in ["t.toml", "line 2", "lisen", "did you mean `listen`?"] {
            assert!(error.contains(expected), "{expected} is not in: {error}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let openai = "[[providers]]\nname = \"o\"\nkind = \"openai\"\n";
        for (text, expected) in [
            ("[server]\nlisten = \"here\"", "server.listen"),
            ("[server]\nlisten = 5", "line 2"),
            ("[store]\nurl = \"mysql://x\"", "mysql"),
            ("[[providers]]\nname = \"a/b\"\nkind = \"openai\"", "a/b"),
            ("[[providers]]\nname = \"a\"\nkind = \"opanai\"", "did you mean `openai`?"),
            ("[[providers]]\nname = \"l\"\nkind = \"llama\"", "providers.load"),
            (&format!("{openai}{openai}"), "twice"),
            ("[[models]]\nname = \"fast\"\ntargets = [\"x/y\"]", "x/y"),
            ("[[prices]]\nmodel = \"a/b\"\ninput = \"0,5\"\noutput = \"1\"", "0,5"),
            ("[[prices]]\nmodel = \"a/b\"\ninput = \"1\"", "output"),
            ("[server", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{expected} is not in: {error}");
        }
    }

    #[test]
    fn a_variable_overrides_the_file_and_a_wrong_one_is_named() {
        let text = "[server]\nlisten = \"127.0.0.1:1\"\n";
        let with = |environment| Config::parse(Path::new("t.toml"), text, &environment);
        let config = with(Environment::of([("TOLLGATE_SERVER__LISTEN", "0.0.0.0:9")])).unwrap();
        assert_eq!(config.server.listen, "0.0.0.0:9");
        let error = with(Environment::of([("TOLLGATE_SERVER__DRAIN", "9")])).unwrap_err();
        assert!(error.to_string().contains("TOLLGATE_SERVER__DRAIN"), "{error}");
    }

    #[test]
    fn a_missing_file_is_an_error_only_when_it_was_named() {
        let named = Path::new("no-such-file.toml");
        let error = Config::load(Some(named), &Environment::default()).unwrap_err();
        assert!(error.to_string().contains("no-such-file.toml"), "{error}");
    }
}
