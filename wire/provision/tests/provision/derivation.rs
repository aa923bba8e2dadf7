//! Keys of programs: the same for the same, and others for anything else.

use std::collections::HashSet;

use enarx_wire_provision::OwnerSecret;

use crate::sample::*;

#[test]
fn what_goes_in_decides_and_nothing_else_does() {
    let mut random = TestRandom::new("derivation");
    for _ in 0..100 {
        let (secret, program) = (random.bytes(), random.bytes());
        let name: String = random
            .bytes::<9>()
            .map(|byte| char::from(byte & 0x3f | 0x40))
            .iter()
            .collect();
        let context = random.bytes::<20>();
        let keys = || {
            let application = OwnerSecret::new(secret).application(&name);
            (
                application.application_key(&context),
                application.program_key(&program, &context),
            )
        };
        assert_eq!(keys(), keys());
    }
}

/// Secret, name, whether it is simulated, program and context: a key of another has another
/// of one of them.
#[test]
fn no_two_keys_are_the_same() {
    let secrets: [[u8; 32]; 3] = [[0; 32], [1; 32], TestRandom::new("a secret").bytes()];
    let programs = [[0; 48], [1; 48], TestRandom::new("a program").bytes()];
    let names = ["a", "b", "ab", "A"];
    // Some say what a program's key has before its context.
    let contexts = [
        &b""[..],
        b"a",
        b"b",
        b"\0",
        b"\0\0",
        &[0; 48],
        &[1; 48],
        &[[1; 48].as_slice(), b"a"].concat(),
        &[0xff; 1024],
    ]
    .map(<[u8]>::to_vec);
    let mut keys = HashSet::new();
    let mut derived = 0;
    for secret in secrets.map(OwnerSecret::new) {
        for name in names {
            for application in [secret.application(name), secret.simulated_application(name)] {
                for context in &contexts {
                    derived += 1 + programs.len();
                    keys.insert(*application.application_key(context));
                    for program in &programs {
                        keys.insert(*application.program_key(program, context));
                    }
                }
                // Nor is what keys come from a key.
                derived += 1;
                keys.insert(*application.expose());
            }
        }
        derived += 1;
        keys.insert(*secret.expose());
    }
    assert_eq!(keys.len(), derived);
}

/// Each bit of what goes in counts.
#[test]
fn near_misses_have_other_keys() {
    let key = |secret: [u8; 32], program: &[u8; 48], context: &[u8]| {
        let application = OwnerSecret::new(secret).application(NAME);
        *application.program_key(program, context)
    };
    let (secret, program, context) = ([7; 32], [8; 48], [9; 64]);
    let own = key(secret, &program, &context);
    for bit in 0..256 {
        let mut other = secret;
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(key(other, &program, &context), own);
    }
    for bit in 0..384 {
        let mut other = program;
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(key(secret, &other, &context), own);
    }
    for bit in 0..512 {
        let mut other = context;
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(key(secret, &program, &other), own);
    }
    for length in 0..context.len() {
        assert_ne!(key(secret, &program, &context[..length]), own);
    }
}
