//! Arithmetic by recursive descent: `+ - * / % ^`, signs, parentheses, decimal numbers.
#![expect(clippy::float_arithmetic, reason = "a pocket calculator; no money is counted with it")]

/// Nesting deeper than this is refused, so that a hostile expression cannot exhaust the stack.
const MAX_DEPTH: u32 = 64;

/// Computes an expression.
pub(super) fn evaluate(expression: &str) -> Result<f64, String> {
    let mut parser = Parser { rest: expression, depth: 0 };
    let value = parser.sum()?;
    match parser.peek() {
        None if value.is_finite() => Ok(value),
        None => Err("the result is too large".to_owned()),
        Some(other) => Err(format!("{other:?} is not expected here")),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Takes the next character if it is one of these.
    fn take(&mut self, choices: &[char]) -> Option<char> {
        let next = self.peek().filter(|next| choices.contains(next))?;
        self.rest = self.rest.strip_prefix(next)?;
        Some(next)
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.take(&['+', '-']) {
            let next = self.product()?;
            value = if operator == '+' { value + next } else { value - next };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.signed()?;
        while let Some(operator) = self.take(&['*', '/', '%']) {
            let next = self.signed()?;
            if operator != '*' && next == 0.0 {
                return Err("division by zero".to_owned());
            }
            value = match operator {
                '*' => value * next,
                '/' => value / next,
                _ => value % next,
            };
        }
        Ok(value)
    }

    /// A sign binds weaker than a power: -2^2 is -4. Every way to nest leads through here.
    fn signed(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        let value = match self.take(&['+', '-']) {
            Some('-') => -self.signed()?,
            Some(_) => self.signed()?,
            None => self.power()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    /// Powers bind from the right: 2^3^2 is 2^9.
    fn power(&mut self) -> Result<f64, String> {
        let base = self.atom()?;
        match self.take(&['^']) {
            None => Ok(base),
            Some(_) => {
                let value = base.powf(self.signed()?);
                if value.is_nan() {
                    Err("that power is not a real number".into())
                } else {
                    Ok(value)
                }
            }
        }
    }

    fn atom(&mut self) -> Result<f64, String> {
        if self.take(&['(']).is_some() {
            let value = self.sum()?;
            return self.take(&[')']).map(|_| value).ok_or_else(|| "a ) is missing".to_owned());
        }
        match self.peek() {
            None => Err("a number is missing at the end".to_owned()),
            Some(next) if next.is_ascii_digit() || next == '.' => self.number(),
            Some(other) => Err(format!("{other:?} is not a number")),
        }
    }

    fn number(&mut self) -> Result<f64, String> {
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().map_err(|_| format!("{digits:?} is not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_that_of_school() {
        for (expression, value) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("10 - 4 - 3", 3.0),
            ("2 * 3 % 4", 2.0),
            ("8 / 4 / 2", 1.0),
            ("-2^2", -4.0),
            ("2^3^2", 512.0),
            ("2^-1", 0.5),
            ("--3", 3.0),
            (" .5*2. ", 1.0),
            ("((((7))))", 7.0),
        ] {
            assert_eq!(evaluate(expression), Ok(value), "{expression}");
        }
    }

    #[test]
    fn bad_input_is_refused_with_a_reason() {
        for expression in [
            "", "1 +", "* 2", "(1", "1)", "1 2", "1..2", ".", "two", "1 / 0", "5 % 0", "9^9^9^9",
            "(-8)^0.5", "1,000", "1 + 🦀",
        ] {
            assert!(evaluate(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn hostile_nesting_is_refused() {
        for open in ["(", "-", "2^"] {
            let reason = evaluate(&open.repeat(100_000)).unwrap_err();
            assert!(reason.contains("deeper"), "{reason}");
        }
        let flat = vec!["1"; 10_000].join("+");
        assert_eq!(evaluate(&flat), Ok(10_000.0));
    }
}
