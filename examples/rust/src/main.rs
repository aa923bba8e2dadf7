//! A report over orders: who ordered for how much. `docs/languages.md` says what it reads and writes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    env, fs,
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

fn main() -> ExitCode {
    match report() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(3),
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
    }
}

/// Writes the report; gives how many lines were rejected.
fn report() -> Result<usize, String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let top = match &arguments[..] {
        [top] => number(top, 9),
        _ => None,
    };
    let top = top.ok_or("usage: report TOP")? as usize;
    let prices = fs::read_to_string("/data/prices.csv").map_err(|_| "no prices")?;
    let prices = read_prices(&prices);
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;

    let mut totals = BTreeMap::<&str, u64>::new();
    let (mut orders, mut rejected) = (0, 0);
    for (index, line) in text.split('\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if let Some((customer, cents)) = order(line, &prices) {
            *totals.entry(customer).or_default() += cents;
            orders += 1;
        } else {
            eprintln!("line {}: rejected", index + 1);
            rejected += 1;
        }
    }

    let mut customers: Vec<_> = totals.into_iter().collect();
    customers.sort_by_key(|&(_, cents)| Reverse(cents));
    let total = customers.iter().map(|(_, cents)| cents).sum();
    let others: u64 = customers.iter().skip(top).map(|(_, cents)| cents).sum();
    let currency = env::var("CURRENCY").unwrap_or_else(|_| "EUR".to_owned());
    let amount = |cents: u64| format!("{}.{:02} {currency}", cents / 100, cents % 100);

    let mut out = format!("orders {orders}, rejected {rejected}\n");
    for &(name, cents) in customers.iter().take(top) {
        out += &format!("{name} {}\n", amount(cents));
    }
    if customers.len() > top {
        out += &format!("others {}\n", amount(others));
    }
    out += &format!("total {}\ncrc32 {:08x}\n", amount(total), crc32(text.as_bytes()));
    io::stdout()
        .write_all(out.as_bytes())
        .map_err(|error| error.to_string())?;
    Ok(rejected)
}

fn read_prices(text: &str) -> HashMap<&str, u64> {
    let lines = text.lines().skip(1);
    lines
        .filter_map(|line| line.split_once(','))
        .filter_map(|(item, price)| Some((item, number(price, 9)?)))
        .collect()
}

/// Who ordered, and for how much.
fn order<'a>(line: &'a str, prices: &HashMap<&str, u64>) -> Option<(&'a str, u64)> {
    let fields: Vec<&str> = line.split(',').collect();
    let &[customer, item, quantity] = &fields[..] else {
        return None;
    };
    let cents = prices.get(item)? * number(quantity, 6)?;
    (!customer.is_empty()).then_some((customer, cents))
}

/// A number of 1 to `digits` decimal digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let plain = text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            crc >> 1 ^ (crc & 1) * 0xedb8_8320
        })
    })
}
