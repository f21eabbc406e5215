//! Conversion between units of the same quantity.
#![expect(clippy::float_arithmetic, reason = "lengths and the like; no money is counted with it")]

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Length,
    Mass,
    Temperature,
    Volume,
    Time,
    Speed,
}

impl Quantity {
    fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Mass => "mass",
            Self::Temperature => "temperature",
            Self::Volume => "volume",
            Self::Time => "time",
            Self::Speed => "speed",
        }
    }
}

/// A value in the quantity's base unit (m, kg, K, l, s, m/s) is `(value + offset) * scale`.
struct Unit {
    name: &'static str,
    quantity: Quantity,
    offset: f64,
    scale: f64,
}

const fn unit(name: &'static str, quantity: Quantity, scale: f64) -> Unit {
    Unit { name, quantity, offset: 0.0, scale }
}

/// International yard and pound (1959) and US customary volumes, exact.
const UNITS: [Unit; 32] = [
    unit("mm", Quantity::Length, 0.001),
    unit("cm", Quantity::Length, 0.01),
    unit("m", Quantity::Length, 1.0),
    unit("km", Quantity::Length, 1000.0),
    unit("in", Quantity::Length, 0.0254),
    unit("ft", Quantity::Length, 0.3048),
    unit("yd", Quantity::Length, 0.9144),
    unit("mi", Quantity::Length, 1609.344),
    unit("mg", Quantity::Mass, 0.000_001),
    unit("g", Quantity::Mass, 0.001),
    unit("kg", Quantity::Mass, 1.0),
    unit("t", Quantity::Mass, 1000.0),
    unit("oz", Quantity::Mass, 0.028_349_523_125),
    unit("lb", Quantity::Mass, 0.453_592_37),
    unit("kelvin", Quantity::Temperature, 1.0),
    Unit { name: "celsius", quantity: Quantity::Temperature, offset: 273.15, scale: 1.0 },
    Unit { name: "fahrenheit", quantity: Quantity::Temperature, offset: 459.67, scale: 5.0 / 9.0 },
    unit("ml", Quantity::Volume, 0.001),
    unit("cl", Quantity::Volume, 0.01),
    unit("l", Quantity::Volume, 1.0),
    unit("cup", Quantity::Volume, 0.236_588_236_5),
    unit("pint", Quantity::Volume, 0.473_176_473),
    unit("gal", Quantity::Volume, 3.785_411_784),
    unit("ms", Quantity::Time, 0.001),
    unit("s", Quantity::Time, 1.0),
    unit("min", Quantity::Time, 60.0),
    unit("h", Quantity::Time, 3600.0),
    unit("day", Quantity::Time, 86_400.0),
    unit("week", Quantity::Time, 604_800.0),
    unit("m/s", Quantity::Speed, 1.0),
    unit("km/h", Quantity::Speed, 1.0 / 3.6),
    unit("mph", Quantity::Speed, 0.447_04),
];

/// The names of all units.
pub(super) fn names() -> Vec<&'static str> {
    UNITS.iter().map(|unit| unit.name).collect()
}

/// Converts a value.
pub(super) fn convert(value: f64, from: &str, to: &str) -> Result<f64, String> {
    let (from, to) = (find(from)?, find(to)?);
    if from.quantity != to.quantity {
        let (one, other) = (from.quantity.name(), to.quantity.name());
        return Err(format!("{} is a {one}, {} a {other}", from.name, to.name));
    }
    let base = (value + from.offset) * from.scale;
    if from.quantity == Quantity::Temperature && base < 0.0 {
        return Err("that is below absolute zero".to_owned());
    }
    let converted = base / to.scale - to.offset;
    if converted.is_finite() { Ok(converted) } else { Err("the result is too large".to_owned()) }
}

fn find(name: &str) -> Result<&'static Unit, String> {
    UNITS
        .iter()
        .find(|unit| unit.name == name)
        .ok_or_else(|| format!("{name:?} is not a unit, use one of: {}", names().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_conversions_come_out() {
        for (value, from, to, expected) in [
            (1.0, "mi", "km", 1.609_344),
            (12.0, "in", "ft", 1.0),
            (1.0, "lb", "g", 453.592_37),
            (-40.0, "celsius", "fahrenheit", -40.0),
            (0.0, "kelvin", "celsius", -273.15),
            (1.0, "gal", "l", 3.785_411_784),
            (2.0, "week", "h", 336.0),
            (36.0, "km/h", "m/s", 10.0),
        ] {
            let converted = convert(value, from, to).unwrap();
            assert!((converted - expected).abs() < 1e-9, "{value} {from} = {converted} {to}");
        }
    }

    #[test]
    fn every_unit_converts_to_itself_and_its_name_is_used_once() {
        for (index, unit) in UNITS.iter().enumerate() {
            let same = convert(300.0, unit.name, unit.name).unwrap();
            assert!((same - 300.0).abs() < 1e-9, "{}", unit.name);
            assert_eq!(names().iter().position(|name| *name == unit.name), Some(index));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(convert(1.0, "m", "kg").unwrap_err().contains("length"));
        assert!(convert(1.0, "furlong", "m").unwrap_err().contains("celsius"));
        assert!(convert(-300.0, "celsius", "kelvin").unwrap_err().contains("absolute zero"));
        assert!(convert(f64::MAX, "mi", "mm").is_err());
    }
}
