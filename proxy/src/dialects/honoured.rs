//! Options that a wire format has no place for: refused, or left out with a warning.

use tollgate_types::{Error, ErrorKind, OnUnsupported, Result, Warning};

/// What happens to an option that the format has no place for.
pub(crate) struct Honoured {
    mode: OnUnsupported,
    warnings: Vec<Warning>,
}

impl Honoured {
    /// Everything is honoured so far.
    pub(crate) fn new(mode: OnUnsupported) -> Self {
        Self { mode, warnings: Vec::new() }
    }

    /// What was left out.
    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    /// Refuses the request, or leaves the option out with a warning if the request says so.
    pub(crate) fn cannot(
        &mut self,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Result<()> {
        let (param, message) = (Some(param.into()), message.into());
        match self.mode {
            OnUnsupported::Fail => {
                Err(Error::new(ErrorKind::Unsupported, message).with(|body| body.param = param))
            }
            OnUnsupported::Warn => {
                self.warnings.push(Warning { code: "unsupported_option".into(), message, param });
                Ok(())
            }
        }
    }
}
