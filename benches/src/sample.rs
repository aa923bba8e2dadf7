//! Repeated measurements.

use crate::quantity::Quantity;

/// The values of one repeated measurement, at least one.
#[derive(Debug, Clone)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// The sample of these values.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values = Vec::from_iter(values);
        assert!(!values.is_empty(), "a sample of nothing");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The median, as a quantity of the given unit.
    pub fn median(&self, unit: fn(f64) -> Quantity) -> Quantity {
        let middle = self.0.len() / 2;
        unit(if self.0.len().is_multiple_of(2) {
            f64::midpoint(self.0[middle - 1], self.0[middle])
        } else {
            self.0[middle]
        })
    }

    /// The smallest value, as a quantity of the given unit.
    pub fn minimum(&self, unit: fn(f64) -> Quantity) -> Quantity {
        unit(self.0[0])
    }

    /// The largest value, as a quantity of the given unit.
    pub fn maximum(&self, unit: fn(f64) -> Quantity) -> Quantity {
        unit(self.0[self.0.len() - 1])
    }

    /// The best value, as a quantity of the given unit.
    pub fn best(&self, unit: fn(f64) -> Quantity) -> Quantity {
        let (minimum, maximum) = (self.minimum(unit), self.maximum(unit));
        if minimum.times_as_good_as(maximum) >= 1.0 {
            minimum
        } else {
            maximum
        }
    }
}

/// One of the things that are measured against each other, and what it measures.
pub type Contender<'a, T = f64> = Box<dyn FnMut() -> anyhow::Result<T> + 'a>;

/// Measures all contenders once in each round, so that a machine that slows down
/// slows all of them; every other round in reverse, so that none profits from its
/// place. A round before the first is not counted. Gives each contender's
/// values, in the contenders' order.
///
/// # Errors
///
/// The first error of a contender.
pub fn interleaved<T>(
    rounds: usize,
    mut contenders: Vec<Contender<'_, T>>,
) -> anyhow::Result<Vec<Vec<T>>> {
    let mut values: Vec<Vec<T>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let value = contenders[index]()?;
            if round > 0 {
                values[index].push(value);
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn medians_and_minima() {
        let sample = Sample::new([5.0, 1.0, 3.0]);
        assert_eq!(sample.median(Quantity::Seconds), Quantity::Seconds(3.0));
        assert_eq!(sample.minimum(Quantity::Seconds), Quantity::Seconds(1.0));
        assert_eq!(sample.best(Quantity::Seconds), Quantity::Seconds(1.0));
        assert_eq!(sample.best(Quantity::PerSecond), Quantity::PerSecond(5.0));
        let even = Sample::new([4.0, 1.0, 2.0, 9.0]);
        assert_eq!(even.median(Quantity::Seconds), Quantity::Seconds(3.0));
    }

    #[test]
    fn rounds_alternate_and_the_first_is_not_counted() {
        let order = RefCell::new(String::new());
        let contender = |name: char| -> Contender<'_> {
            let order = &order;
            Box::new(move || {
                order.borrow_mut().push(name);
                Ok(1.0)
            })
        };
        let values = interleaved(2, vec![contender('a'), contender('b')]).unwrap();
        assert_eq!(values, [[1.0, 1.0], [1.0, 1.0]]);
        assert_eq!(order.into_inner(), "abbaab");
    }
}
