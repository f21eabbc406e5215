//! What befalls a connection.

use std::time::Duration;

/// What befalls one connection; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// It is reset at once, and the target never hears of it.
    pub refused: bool,
    /// It is made that much later.
    pub delay: Duration,
    /// What is said to the target.
    pub up: Lane,
    /// What is said to the client.
    pub down: Lane,
    /// What the client said arrives a second time, on a connection of its own, as soon as the
    /// target has begun to answer. The answer to that is lost.
    pub doubled: bool,
    /// Nothing arrives at the target before something of a later connection did, or a second has
    /// passed.
    pub overtaken: bool,
}

/// What befalls one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// Bytes a second; absent: as fast as it goes.
    pub rate: Option<u64>,
    /// How it stops.
    pub stop: Option<Stop>,
}

/// How a direction stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// After exactly so many bytes.
    pub after: u64,
    /// In which way.
    pub how: How,
}

/// In which way a direction stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The connection ends for both, in good order.
    Close,
    /// The connection is reset for both; what was under way may be lost with it.
    Reset,
    /// Nothing more passes in this direction, not even its end.
    Silence,
    /// Nothing passes for a while.
    Pause(Duration),
}

impl Lane {
    /// A direction that stops.
    pub fn stopping(after: u64, how: How) -> Self {
        Self { rate: None, stop: Some(Stop { after, how }) }
    }

    /// A slow direction.
    pub fn slow(bytes_per_second: u64) -> Self {
        Self { rate: Some(bytes_per_second), stop: None }
    }
}

impl Fault {
    /// What a seed wants for a connection: the same for the same two numbers, always.
    pub fn drawn(seed: u64, number: u64) -> Self {
        // Neighbouring seeds shall have nothing in common.
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ number;
        Self::by(&mut fastrand::Rng::with_seed(mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9)))
    }

    fn by(random: &mut fastrand::Rng) -> Self {
        let ms = |ms: u64| Duration::from_millis(ms);
        let whole = Self::default();
        match random.u8(0..12) {
            0 => Self { refused: true, ..whole },
            1 => Self { delay: ms(random.u64(1..80)), ..whole },
            2 => Self { up: ending(random, 1_500), ..whole },
            3..=5 => Self { down: ending(random, 4_000), ..whole },
            6 => Self { down: silence(random, 3_000), ..whole },
            7 => {
                let how = How::Pause(ms(random.u64(5..150)));
                let (up, down) = (random.u64(0..1_500), random.u64(0..4_000));
                Self { up: Lane::stopping(up, how), down: Lane::stopping(down, how), ..whole }
            }
            8 => Self { down: Lane::slow(random.u64(2_000..40_000)), ..whole },
            9 => Self { doubled: true, down: ending(random, 3_000), ..whole },
            10 => Self { overtaken: true, ..whole },
            _ => whole,
        }
    }
}

fn ending(random: &mut fastrand::Rng, within: u64) -> Lane {
    let how = if random.bool() { How::Close } else { How::Reset };
    Lane::stopping(random.u64(0..within), how)
}

fn silence(random: &mut fastrand::Rng, within: u64) -> Lane {
    Lane::stopping(random.u64(0..within), How::Silence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_the_same_again_and_every_fault_comes_up() {
        let drawn: Vec<Fault> = (0..600).map(|n| Fault::drawn(n / 3, n % 3)).collect();
        let again: Vec<Fault> = (0..600).map(|n| Fault::drawn(n / 3, n % 3)).collect();
        assert_eq!(drawn, again);
        let ends = |fault: &Fault, how| {
            [fault.up, fault.down].iter().any(|lane| lane.stop.is_some_and(|stop| stop.how == how))
        };
        let pauses =
            |fault: &Fault| fault.up.stop.is_some_and(|stop| matches!(stop.how, How::Pause(_)));
        let kinds: [&dyn Fn(&Fault) -> bool; 11] = [
            &|fault| fault.refused,
            &|fault| !fault.delay.is_zero(),
            &|fault| fault.doubled,
            &|fault| fault.overtaken,
            &|fault| fault.down.rate.is_some(),
            &|fault| fault.up.stop.is_some() && fault.down.stop.is_none(),
            &|fault| ends(fault, How::Close),
            &|fault| ends(fault, How::Reset),
            &|fault| ends(fault, How::Silence),
            &pauses,
            &|fault| *fault == Fault::default(),
        ];
        for (number, kind) in kinds.iter().enumerate() {
            let count = drawn.iter().filter(|fault| kind(fault)).count();
            assert!(count >= 10, "kind {number} came up {count} times in 600");
        }
    }
}
