//! ECREATE, EADD, EEXTEND and EINIT.

use std::io::Write as _;
use std::os::fd::AsFd as _;

use enarx_host_simulator::sgx::Attributes;
use enarx_host_simulator::sgx::enclave::{Builder, InitError, LeafError};

use crate::harness::{
    BASE, DATA, PAGE, READ, REGULAR, SIZE, TCS, THREADS, TestHardware, WRITE, construct,
    in_own_process, secinfo, secs, tcs,
};
use crate::{programs, signer};

type Change<const N: usize> = fn(&mut [u8; N]);

#[test]
fn ecreate_refuses_what_hardware_refuses() {
    in_own_process(
        "construction::ecreate_refuses_what_hardware_refuses",
        || {
            let changes: [Change<4096>; 22] = [
                |secs| secs[0] = 1,
                |secs| secs[..8].fill(0),
                |secs| secs[..8].copy_from_slice(&4096_u64.to_le_bytes()),
                |secs| secs[..8].copy_from_slice(&(1_u64 << 37).to_le_bytes()),
                |secs| secs[9] = 0x10,
                |secs| secs[16] = 0,
                |secs| secs[19] = 0xff,
                |secs| secs[20] = 2,
                |secs| secs[24] = 1,
                |secs| secs[48] = 0,
                |secs| secs[48] |= 1,
                |secs| secs[48] |= 1 << 3,
                |secs| secs[48] |= 1 << 6,
                |secs| secs[49] |= 1 << 2,
                |secs| secs[56] = 1,
                |secs| secs[56] = 15,
                |secs| secs[63] = 1,
                |secs| secs[64] = 1,
                |secs| secs[128] = 1,
                |secs| secs[192] = 1,
                |secs| secs[260] = 1,
                |secs| secs[4095] = 1,
            ];
            for (number, change) in changes.iter().enumerate() {
                let mut secs = secs();
                change(&mut secs);
                assert!(
                    matches!(Builder::create(&secs), Err(LeafError::GeneralProtection(_))),
                    "{number}"
                );
            }
            let allowed: [Change<4096>; 5] = [
                |secs| secs[..8].copy_from_slice(&(1_u64 << 36).to_le_bytes()),
                |secs| secs[20] = 0,
                |secs| secs[48] |= 2,
                |secs| secs[56] = 3,
                |secs| (secs[48], secs[192], secs[260]) = (0x84, 1, 1),
            ];
            for change in allowed {
                let mut secs = secs();
                change(&mut secs);
                assert!(Builder::create(&secs).is_ok());
            }
        },
    );
}

#[test]
fn there_is_one_enclave() {
    in_own_process("construction::there_is_one_enclave", || {
        let first = Builder::create(&secs()).unwrap();
        assert!(matches!(Builder::create(&secs()), Err(LeafError::Occupied)));
        assert_eq!(first.base(), BASE);
        drop(first);
        let (builder, mrenclave) = construct(&secs(), 0);
        let mut sigstruct = signer::unsigned(&mrenclave);
        signer::sign(&mut sigstruct);
        builder.init(&sigstruct, Box::new(TestHardware)).unwrap();
        assert!(matches!(Builder::create(&secs()), Err(LeafError::Occupied)));
    });
}

#[test]
fn eadd_refuses_what_hardware_refuses() {
    in_own_process("construction::eadd_refuses_what_hardware_refuses", || {
        let page = [0; 4096];
        let mut builder = Builder::create(&secs()).unwrap();
        let regular = secinfo(REGULAR | READ);
        for (offset, secinfo) in [
            (8, regular),
            (SIZE, regular),
            (u64::MAX - PAGE + 1, regular),
            (0, secinfo(REGULAR | WRITE)),
            (0, secinfo(READ)),
            (0, secinfo(4 << 8 | READ)),
            (0, secinfo(3 << 8)),
            (0, secinfo(REGULAR | READ | 1 << 6)),
            (0, secinfo(REGULAR | READ | 1 << 32)),
        ] {
            let result = builder.add(offset, &secinfo, &page);
            assert!(matches!(result, Err(LeafError::GeneralProtection(_))));
        }
        let mut wrong = tcs(0, 0, 1);
        wrong[80] = 1;
        let result = builder.add(0, &secinfo(TCS), &wrong);
        assert!(matches!(result, Err(LeafError::GeneralProtection(_))));

        assert!(matches!(
            builder.extend(0),
            Err(LeafError::PageFault { offset: 0, .. })
        ));
        builder.add(0, &regular, &page).unwrap();
        assert!(matches!(
            builder.extend(8),
            Err(LeafError::GeneralProtection(_))
        ));
        assert!(matches!(
            builder.add(0, &regular, &page),
            Err(LeafError::PageFault { offset: 0, .. })
        ));
    });
}

#[test]
fn pages_of_a_file_are_those_that_it_has() {
    in_own_process(
        "construction::pages_of_a_file_are_those_that_it_has",
        || {
            let contents = [[1; 4096], [2; 4096]];
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[0; 4096]).unwrap();
            file.write_all(contents.as_flattened()).unwrap();
            let info = secinfo(REGULAR | READ | WRITE);
            let measure = |add: &dyn Fn(&mut Builder)| {
                let mut builder = Builder::create(&secs()).unwrap();
                add(&mut builder);
                builder.extend(0).unwrap();
                builder.extend(PAGE).unwrap();
                let mut sigstruct = signer::unsigned(&[0; 32]);
                signer::sign(&mut sigstruct);
                match builder.init(&sigstruct, Box::new(TestHardware)) {
                    Err(InitError::Measurement(mrenclave)) => mrenclave,
                    other => panic!("{other:?}"),
                }
            };
            let copied = measure(&|builder| {
                builder.add(0, &info, &contents[0]).unwrap();
                builder.add(PAGE, &info, &contents[1]).unwrap();
            });
            let from_file = |builder: &mut Builder, info: &[u8; 64]| {
                builder.add_from_file(0, info, 2, file.as_fd(), PAGE)
            };
            let mapped = measure(&|builder| from_file(builder, &info).unwrap());
            assert_eq!(copied, mapped);

            let mut builder = Builder::create(&secs()).unwrap();
            assert!(matches!(
                from_file(&mut builder, &secinfo(TCS)),
                Err(LeafError::GeneralProtection(_))
            ));
            builder.add(PAGE, &info, &contents[0]).unwrap();
            assert!(matches!(
                from_file(&mut builder, &info),
                Err(LeafError::PageFault { offset: PAGE, .. })
            ));
        },
    );
}

#[test]
fn a_tcs_is_measured_as_it_is_stored() {
    in_own_process("construction::a_tcs_is_measured_as_it_is_stored", || {
        let measure = |flags, contents: &[u8; 4096]| {
            let mut builder = Builder::create(&secs()).unwrap();
            builder.add(THREADS[0], &secinfo(flags), contents).unwrap();
            builder.extend(THREADS[0]).unwrap();
            let mut sigstruct = signer::unsigned(&[0; 32]);
            signer::sign(&mut sigstruct);
            match builder.init(&sigstruct, Box::new(TestHardware)) {
                Err(InitError::Measurement(mrenclave)) => mrenclave,
                other => panic!("{other:?}"),
            }
        };
        let plain = tcs(THREADS[0], 0, 1);
        let mut used = plain;
        // STATE, DBGOPTIN, CSSA and AEP are not the builder's to set, nor are permissions.
        (used[0], used[8], used[24], used[40]) = (1, 1, 1, 1);
        assert_eq!(measure(TCS, &plain), measure(TCS | READ | WRITE, &used));
        used[32] = 1;
        assert_ne!(measure(TCS, &plain), measure(TCS, &used));
    });
}

#[test]
fn einit_accepts_what_was_signed() {
    in_own_process("construction::einit_accepts_what_was_signed", || {
        let (builder, mrenclave) = construct(&secs(), programs::monitor());
        let mut sigstruct = signer::unsigned(&mrenclave);
        sigstruct[16..20].copy_from_slice(&0x8086_u32.to_le_bytes());
        // What the masks leave out may differ.
        sigstruct[900] = 0;
        sigstruct[904] = 0xfe;
        sigstruct[928] = 6;
        sigstruct[944] = 0xfd;
        signer::sign(&mut sigstruct);
        let enclave = builder.init(&sigstruct, Box::new(TestHardware)).unwrap();
        let identity = enclave.identity();
        assert_eq!(identity.mrenclave, mrenclave);
        assert_eq!(identity.mrsigner[..], signer::mrsigner());
        assert_eq!(identity.attributes, Attributes { flags: 5, xfrm: 7 });
        assert_eq!(
            (identity.misc_select, identity.isv_prod_id, identity.isv_svn),
            (1, 0x1234, 5)
        );
        assert_eq!((enclave.base(), enclave.size()), (BASE, SIZE));
    });
}

#[test]
fn einit_refuses_every_other_structure() {
    in_own_process("construction::einit_refuses_every_other_structure", || {
        let init = |sigstruct: &[u8; 1808]| {
            let (builder, _) = construct(&secs(), programs::monitor());
            builder.init(sigstruct, Box::new(TestHardware)).unwrap_err()
        };
        let (_, mrenclave) = construct(&secs(), programs::monitor());
        let changed_and_signed = |change: Change<1808>| {
            let mut sigstruct = signer::unsigned(&mrenclave);
            change(&mut sigstruct);
            signer::sign(&mut sigstruct);
            init(&sigstruct)
        };
        let mut signed = signer::unsigned(&mrenclave);
        signer::sign(&mut signed);
        let signed_and_changed = |change: Change<1808>| {
            let mut sigstruct = signed;
            change(&mut sigstruct);
            init(&sigstruct)
        };

        let malformed: [Change<1808>; 14] = [
            |sigstruct| sigstruct[0] = 7,
            |sigstruct| sigstruct[15] = 1,
            |sigstruct| sigstruct[16] = 1,
            |sigstruct| sigstruct[20] = 0xff,
            |sigstruct| sigstruct[21] = 0x13,
            |sigstruct| sigstruct[24] = 0,
            |sigstruct| sigstruct[44] = 1,
            |sigstruct| sigstruct[127] = 1,
            |sigstruct| sigstruct[512] = 5,
            |sigstruct| sigstruct[908] = 1,
            |sigstruct| sigstruct[912] = 1,
            |sigstruct| sigstruct[992] = 1,
            |sigstruct| sigstruct[1028] = 1,
            |sigstruct| sigstruct[1039] = 1,
        ];
        for (number, change) in malformed.into_iter().enumerate() {
            let error = changed_and_signed(change);
            assert!(
                matches!(error, InitError::SignatureStructure(_)),
                "{number} {error}"
            );
        }
        let different: [Change<1808>; 3] = [
            |sigstruct| sigstruct[900] = 0,
            |sigstruct| sigstruct[928] = 6,
            |sigstruct| sigstruct[936] = 3,
        ];
        for change in different {
            assert!(matches!(
                changed_and_signed(change),
                InitError::Attribute(_)
            ));
        }
        let error = changed_and_signed(|sigstruct| sigstruct[960] ^= 1);
        assert!(matches!(error, InitError::Measurement(_)));
        // After signing: signed fields, the key, the signature and both quotients.
        let forged: [Change<1808>; 12] = [
            |sigstruct| sigstruct[20] ^= 1,
            |sigstruct| sigstruct[40] ^= 1,
            |sigstruct| sigstruct[128] ^= 2,
            |sigstruct| sigstruct[511] = 0,
            |sigstruct| sigstruct[516] ^= 1,
            |sigstruct| sigstruct[516..900].fill(0xff),
            |sigstruct| sigstruct[516..900].fill(0),
            |sigstruct| sigstruct[904] ^= 1,
            |sigstruct| sigstruct[960] ^= 1,
            |sigstruct| sigstruct[1026] ^= 1,
            |sigstruct| sigstruct[1040] ^= 1,
            |sigstruct| sigstruct[1807] ^= 1,
        ];
        for (number, change) in forged.into_iter().enumerate() {
            let error = signed_and_changed(change);
            assert!(matches!(error, InitError::Signature), "{number} {error}");
        }
    });
}

#[test]
fn einit_measures_what_was_added() {
    in_own_process("construction::einit_measures_what_was_added", || {
        let (mut builder, mrenclave) = construct(&secs(), programs::monitor());
        let last = SIZE - PAGE;
        assert_ne!(last, DATA);
        builder
            .add(last, &secinfo(REGULAR | READ), &[0; 4096])
            .unwrap();
        let mut sigstruct = signer::unsigned(&mrenclave);
        signer::sign(&mut sigstruct);
        let error = builder
            .init(&sigstruct, Box::new(TestHardware))
            .unwrap_err();
        assert!(matches!(error, InitError::Measurement(found) if found != mrenclave));
    });
}
