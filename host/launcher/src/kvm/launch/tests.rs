//! Launches of the Keep image inside this build, before a kernel that checks them.

use enarx_wire_launch::vm::{GuestPages, SnpProcessors, file_digest, layout};
use enarx_wire_launch::{
    Digest, KeepImage, LaunchPage, Platform, SgxImage, SnpIdentity, VmImage, tdx_launch_digest,
};
use kvm_bindings::{
    CpuId, KVM_CAP_EXIT_HYPERCALL, kvm_cpuid_entry2, kvm_regs, kvm_sev_cmd, kvm_sev_init,
    kvm_sev_snp_launch_start, kvm_sev_snp_launch_update, kvm_sregs,
};

use super::fake::{Fake, Moods, Stage};
use super::uapi::{command, kvm_tdx_cmd};
use super::*;
use crate::snp::{GUEST_POLICY, IdentityKey};

const MEMORY: u64 = 64 << 20;

fn image() -> KeepImage<'static> {
    let runtime = enarx_host_image::runtime();
    KeepImage {
        runtime,
        runtime_digest: [1; 48],
        sgx: SgxImage::default(),
        vm: VmImage {
            shim: enarx_host_image::shim_vm(),
            runtime_file_digest: file_digest(runtime),
        },
    }
}

/// The memory of a machine, none of which is used here.
fn regions() -> Vec<Region> {
    let region = |address, end, kind| Region {
        address,
        size: end - address,
        userspace: 0x7000_0000_0000 + address,
        kind,
    };
    vec![
        region(layout::SHIM, 0x40_0000, RegionKind::Private),
        region(layout::BOOT_PAGE, layout::BLOCKS_END, RegionKind::Shared),
        region(layout::RUNTIME_FILE, 0x500_0000, RegionKind::Shared),
        region(
            layout::PRIVATE,
            layout::PRIVATE + MEMORY,
            RegionKind::Private,
        ),
        region(
            layout::RESET_PAGE,
            layout::RESET_PAGE + 0x1000,
            RegionKind::Private,
        ),
    ]
}

fn cpuid() -> CpuId {
    let entry = |function, index, eax, ebx| kvm_cpuid_entry2 {
        function,
        index,
        eax,
        ebx,
        ecx: 0x7FFA_FBFF,
        edx: 0xFFFF_FFFF,
        ..kvm_cpuid_entry2::default()
    };
    CpuId::from_entries(&[
        entry(0, 0, 0x20, 0),
        entry(1, 0, 0x00A0_0F11, 0x0010_0800),
        entry(7, 0, 0, 0xF1BF_07AB),
        entry(0xD, 0, 7, 0x340),
        entry(0x8000_0008, 0, 0x0030_3030, 0),
    ])
    .unwrap()
}

fn on<T>(platform: Platform, act: impl FnOnce(&Contents<'_>) -> T) -> (T, Digest) {
    let pages = GuestPages::new(platform, &image(), MEMORY).unwrap();
    let contents = Contents {
        pages: &pages,
        regions: &regions(),
        cpuid: &cpuid(),
        processors: layout::PROCESSORS,
    };
    (act(&contents), pages.launch_digest())
}

fn snp<'a>() -> SnpLaunch<'a> {
    SnpLaunch {
        policy: GUEST_POLICY,
        processors: SnpProcessors::default(),
        host_data: [7; 32],
        identity: None,
    }
}

fn launch_snp(launch: &SnpLaunch<'_>, moods: Moods) -> (Fake, Result<(), ConfidentialError>) {
    let mut fake = Fake::new(moods);
    let (launched, _) = on(Platform::Snp, |contents| launch.launch(&mut fake, contents));
    (fake, launched)
}

fn launch_tdx(moods: Moods) -> (Fake, Result<(), ConfidentialError>) {
    let launch = TdxLaunch { host_data: [9; 32] };
    let mut fake = Fake::new(moods);
    let (launched, _) = on(Platform::Tdx, |contents| launch.launch(&mut fake, contents));
    (fake, launched)
}

/// What the firmware measures of the launch is what owners compute.
#[test]
fn a_sev_snp_machine_measures_what_its_owner_expects() {
    let (fake, launched) = launch_snp(&snp(), Moods::default());
    launched.unwrap();
    let (_, expected) = on(Platform::Snp, |_| ());
    assert_eq!(fake.stage, Stage::Finished);
    assert_eq!(fake.measurement, expected);
    assert_eq!(fake.host_data, [7; 32]);
    assert_eq!(fake.policy, 0x3_0000);
    assert_eq!(fake.capabilities[&KVM_CAP_EXIT_HYPERCALL], 1 << 12);
    assert_eq!(fake.pages[&layout::SECRETS_PAGE], 5);
    assert_eq!(fake.pages[&layout::CPUID_PAGE], 6);
    let measured = fake.pages.values().filter(|kind| matches!(kind, 1 | 3));
    assert!(measured.count() <= 64);
    assert_eq!(fake.processors.len(), 8);

    // Of what can be chosen, what is measured.
    let processors = SnpProcessors {
        signature: 0x00A0_0F11,
        features: 0x21,
        ..SnpProcessors::default()
    };
    let launch = SnpLaunch {
        processors,
        ..snp()
    };
    let (fake, launched) = launch_snp(&launch, Moods::default());
    launched.unwrap();
    let pages = GuestPages::new(Platform::Snp, &image(), MEMORY).unwrap();
    assert_eq!(fake.measurement, pages.snp_launch_digest(&processors));
    assert_ne!(fake.measurement, expected);
}

#[test]
fn a_trust_domain_measures_what_its_owner_expects() {
    let (fake, launched) = launch_tdx(Moods::default());
    launched.unwrap();
    let (_, expected) = on(Platform::Tdx, |_| ());
    assert_eq!(fake.stage, Stage::Finished);
    assert_eq!(fake.measurement, expected);
    assert_eq!(fake.host_data, [&[9; 32][..], &[0; 16]].concat());
    assert_eq!((fake.attributes, fake.xfam), (1 << 28, 7));
    assert!(fake.pages.contains_key(&layout::RESET_PAGE) && fake.pages.len() <= 64);
    assert_ne!(expected, tdx_launch_digest([]));
}

/// Kernels may take pages in several goes, and firmware may correct what it is told of the processor.
#[test]
fn a_launch_goes_on_where_it_was_interrupted() {
    let moods = Moods {
        interrupted: true,
        corrects: true,
        ..Moods::default()
    };
    let (fake, launched) = launch_snp(&snp(), moods);
    launched.unwrap();
    assert_eq!(fake.measurement, on(Platform::Snp, |_| ()).1);
    let (fake, launched) = launch_tdx(moods);
    launched.unwrap();
    assert_eq!(fake.measurement, on(Platform::Tdx, |_| ()).1);
}

#[test]
fn what_goes_wrong_is_named() {
    let stalls = Moods {
        stalls: true,
        ..Moods::default()
    };
    let fails = Moods {
        status: 0xBAD,
        ..Moods::default()
    };
    let text = |launched: Result<(), ConfidentialError>| launched.unwrap_err().to_string();
    assert!(text(launch_snp(&snp(), stalls).1).contains("stopped taking pages at 0x200000"));
    assert!(text(launch_tdx(stalls).1).contains("stopped taking pages at 0x200000"));
    for launched in [launch_snp(&snp(), fails).1, launch_tdx(fails).1] {
        let text = text(launched);
        assert!(text.contains("finish the launch: status 0xbad"), "{text}");
    }
    let no_avx = Moods {
        no_avx: true,
        ..Moods::default()
    };
    assert!(text(launch_tdx(no_avx).1).contains("AVX"));
    let launch = SnpLaunch { policy: 0, ..snp() };
    assert!(text(launch_snp(&launch, Moods::default()).1).contains("start the launch"));
}

/// An identity is accepted where it says what was launched, and by whom it was signed.
#[test]
fn an_identity_is_demanded_of_the_launch() {
    let (key, author) = (
        IdentityKey::generate().unwrap(),
        IdentityKey::generate().unwrap(),
    );
    let identity = SnpIdentity {
        measurement: on(Platform::Snp, |_| ()).1,
        family: [1; 16],
        image: [2; 16],
        security_version: 3,
        policy: GUEST_POLICY,
    };
    for author in [None, Some(&author)] {
        let signed = key.sign(&identity, author).unwrap();
        let launch = SnpLaunch {
            identity: Some(&signed),
            ..snp()
        };
        let (fake, launched) = launch_snp(&launch, Moods::default());
        launched.unwrap();
        let (by, authored) = fake.keys.unwrap();
        assert_eq!(by, key.public().digest());
        let expected = author.map_or([0; 48], |author| author.public().digest());
        assert_eq!(authored, expected);
    }
    let mut forged = key.sign(&identity, Some(&author)).unwrap();
    forged.identity.security_version += 1;
    let of_another = SnpIdentity {
        measurement: [3; 48],
        ..identity
    };
    let mut other_author = key.sign(&identity, Some(&author)).unwrap();
    other_author.author = key
        .sign(&identity, Some(&key))
        .unwrap()
        .author
        .map(|(_, signature)| (author.public(), signature));
    for signed in [forged, key.sign(&of_another, None).unwrap(), other_author] {
        let launch = SnpLaunch {
            identity: Some(&signed),
            ..snp()
        };
        let (fake, launched) = launch_snp(&launch, Moods::default());
        assert!(matches!(
            launched,
            Err(ConfidentialError::Tee { status: 0x0B, .. })
        ));
        assert_ne!(fake.stage, Stage::Finished);
    }
}

fn sev<T>(fake: &mut Fake, id: u32, data: &mut T) -> Option<i32> {
    let mut command = kvm_sev_cmd {
        id,
        data: (&raw mut *data).addr() as u64,
        ..kvm_sev_cmd::default()
    };
    // SAFETY: the command's own structure, by each call below.
    let result = unsafe { fake.sev(&mut command) };
    result.err().and_then(|error| error.raw_os_error())
}

fn tdx(fake: &mut Fake, processor: Option<u32>, id: u32, data: u64) -> Option<i32> {
    let mut command = kvm_tdx_cmd {
        id,
        data,
        ..kvm_tdx_cmd::default()
    };
    // SAFETY: commands that are refused before they look at their structure, or have none.
    let result = unsafe { fake.tdx(processor, &mut command) };
    result.err().and_then(|error| error.raw_os_error())
}

/// The fake kernel bites: what is out of order, or not as it must be, is refused.
#[test]
fn wrong_requests_are_refused() {
    const INVALID: Option<i32> = Some(libc::EINVAL);
    const EXISTS: Option<i32> = Some(libc::EEXIST);
    let mut start = kvm_sev_snp_launch_start {
        policy: GUEST_POLICY,
        ..kvm_sev_snp_launch_start::default()
    };
    let source = Box::new(Source([5; PAGE_SIZE]));
    let update = kvm_sev_snp_launch_update {
        gfn_start: layout::SHIM / 4096,
        uaddr: (&raw const *source).addr() as u64,
        len: 4096,
        type_: 1,
        ..kvm_sev_snp_launch_update::default()
    };
    let mut fake = Fake::new(Moods::default());
    assert!(
        fake.create_processor(0).is_err(),
        "before there is a machine"
    );
    fake.create_machine(4).unwrap();
    assert!(fake.create_machine(4).is_err());
    assert!(fake.create_processor(0).is_err(), "before the TEE");
    assert_eq!(
        sev(&mut fake, 100, &mut start),
        INVALID,
        "start before init"
    );
    let mut init = kvm_sev_init {
        vmsa_features: 1,
        ..kvm_sev_init::default()
    };
    assert_eq!(
        sev(&mut fake, 22, &mut init),
        INVALID,
        "SNP is not to be named"
    );
    init.vmsa_features = 0;
    assert_eq!(sev(&mut fake, 22, &mut init), None);
    assert_eq!(sev(&mut fake, 22, &mut init), INVALID, "twice");
    assert_eq!(
        sev(&mut fake, 101, &mut update.clone()),
        INVALID,
        "before the start"
    );
    assert_eq!(sev(&mut fake, 100, &mut start), None);
    assert_eq!(
        sev(&mut fake, 101, &mut update.clone()),
        INVALID,
        "no memory there"
    );
    give_memory(&mut fake, &regions()).unwrap();
    for wrong in [
        kvm_sev_snp_launch_update { len: 100, ..update },
        kvm_sev_snp_launch_update { len: 0, ..update },
        kvm_sev_snp_launch_update { type_: 2, ..update },
        kvm_sev_snp_launch_update { type_: 7, ..update },
        kvm_sev_snp_launch_update {
            uaddr: update.uaddr + 8,
            ..update
        },
        // Shared memory, and memory that there is not.
        kvm_sev_snp_launch_update {
            gfn_start: layout::BOOT_PAGE / 4096,
            ..update
        },
        kvm_sev_snp_launch_update {
            gfn_start: 0,
            ..update
        },
    ] {
        assert_eq!(
            sev(&mut fake, 101, &mut wrong.clone()),
            INVALID,
            "{wrong:?}"
        );
    }
    assert_eq!(sev(&mut fake, 101, &mut update.clone()), None);
    assert_eq!(
        sev(&mut fake, 101, &mut update.clone()),
        EXISTS,
        "the same page twice"
    );
    let mut finish = kvm_bindings::kvm_sev_snp_launch_finish::default();
    assert_eq!(sev(&mut fake, 102, &mut finish), INVALID, "no processor");
    fake.create_processor(0).unwrap();
    fake.set_registers(0, &kvm_sregs::default(), &kvm_regs::default())
        .unwrap();
    assert_eq!(sev(&mut fake, 102, &mut finish), None);
    assert_eq!(
        sev(&mut fake, 101, &mut update.clone()),
        INVALID,
        "after the end"
    );
    assert!(
        fake.set_registers(0, &kvm_sregs::default(), &kvm_regs::default())
            .is_err()
    );

    let mut fake = Fake::new(Moods::default());
    fake.create_machine(5).unwrap();
    assert_eq!(tdx(&mut fake, None, command::FINALIZE_VM, 0), INVALID);
    assert_eq!(
        tdx(&mut fake, None, command::INIT_VCPU, 0),
        INVALID,
        "on the machine"
    );
    assert_eq!(
        tdx(&mut fake, Some(0), command::INIT_MEM_REGION, 0),
        INVALID
    );
    assert!(fake.create_processor(0).is_err(), "before the TEE");
    let (mut fake, _) = launch_tdx(Moods::default());
    assert_eq!(
        tdx(&mut fake, None, command::FINALIZE_VM, 0),
        INVALID,
        "twice"
    );
    assert!(
        fake.set_registers(0, &kvm_sregs::default(), &kvm_regs::default())
            .is_err()
    );
}

/// Without a page, with one more, or with another one, the measurement is not the expected one.
#[test]
fn another_launch_measures_otherwise() {
    let other = KeepImage {
        runtime_digest: [2; 48],
        ..image()
    };
    for platform in [Platform::Snp, Platform::Tdx] {
        let pages = GuestPages::new(platform, &other, MEMORY).unwrap();
        let contents = Contents {
            pages: &pages,
            regions: &regions(),
            cpuid: &cpuid(),
            processors: layout::PROCESSORS,
        };
        let mut fake = Fake::new(Moods::default());
        match platform {
            Platform::Snp => snp().launch(&mut fake, &contents).unwrap(),
            _ => TdxLaunch { host_data: [0; 32] }
                .launch(&mut fake, &contents)
                .unwrap(),
        }
        let (_, expected) = on(platform, |_| ());
        assert_ne!(fake.measurement, expected, "{platform}");
        let page = pages
            .each()
            .find(|(at, _)| *at == layout::LAUNCH_PAGE)
            .unwrap();
        assert_eq!(
            LaunchPage::decode(&page.1.unwrap()).unwrap().platform,
            platform
        );
    }
}
