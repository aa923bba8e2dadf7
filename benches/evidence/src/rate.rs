//! Rates of rivals that take turns.

use std::time::{Duration, Instant};

/// One way to verify, with its name.
pub type Rival<'a> = (&'a str, Box<dyn FnMut() + 'a>);

const ROUNDS: usize = 7;
const TURN: Duration = Duration::from_millis(400);

/// Measures all rivals in each round, every other round in reverse order; prints and gives
/// the medians, in verifications per second.
pub fn measure(rivals: &mut [Rival<'_>]) -> Vec<f64> {
    let mut rates = vec![Vec::new(); rivals.len()];
    for round in 0..ROUNDS {
        let mut order: Vec<_> = (0..rivals.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            rates[index].push(rate(&mut rivals[index].1));
        }
    }
    rates
        .into_iter()
        .zip(rivals)
        .map(|(mut rates, (name, _))| {
            rates.sort_by(f64::total_cmp);
            let median = rates[ROUNDS / 2];
            println!(
                "{name:44} {median:>8.0} per second {:>8.0} us each",
                1e6 / median
            );
            median
        })
        .collect()
}

fn rate(verify: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < TURN {
        verify();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Says how a rate compares with the best rival's.
pub fn compare(what: &str, ours: f64, best: f64, target: f64) {
    let ratio = ours / best;
    let verdict = if ratio >= target { "kept" } else { "MISSED" };
    println!("{what:44} {ratio:>8.2} times the rival; target {target}: {verdict}\n");
}
