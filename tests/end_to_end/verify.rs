//! Evidence in files, and the first stage alone.

use std::{
    env,
    path::{Path, PathBuf},
};

use axum::{Router, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::harness::{Finished, Place};

/// Where real evidence with known verdicts is; says so and gives nothing when it is absent.
fn vectors() -> Option<PathBuf> {
    let folder = env::var_os("ENARX_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    if folder.join("cases.json").is_file() {
        return Some(folder.canonicalize().unwrap());
    }
    println!(
        "SKIPPED: no test vectors in {}; set ENARX_VECTORS",
        folder.display()
    );
    None
}

/// Cases that do not agree yet, and why.
const OPEN: [(&str, &str); 1] = [(
    "sgx-oasis-core-results_25300000-f18a8619-chain",
    "judged at a time before its PCK certificate's notBefore: RFC 5280, section 4.1.2.5",
)];

#[test]
fn the_cases_with_known_verdicts_agree() {
    let Some(vectors) = vectors() else {
        return;
    };
    let place = Place::new();
    let cases = vectors.join("cases.json");
    let finished = place.run(["verify", "--cases", cases.to_str().unwrap()]);
    let lines: Vec<Value> = finished
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let differing: Vec<_> = lines
        .iter()
        .filter(|line| line["agrees"] == false)
        .collect();
    let known = OPEN.map(|(id, _)| id);
    for line in &differing {
        assert!(known.contains(&line["id"].as_str().unwrap()), "{line}");
    }
    println!("{}", finished.stderr);
    println!(
        "{} of {} agree; open: {OPEN:#?}",
        lines.len() - differing.len(),
        lines.len()
    );
    // More than half were refused after a change, which none may survive.
    assert!(lines.len() > 300, "{} cases", lines.len());
    let changed = lines.iter().filter(|line| line["change"].is_string());
    assert!(changed.clone().count() > 200);
    assert!(changed.clone().all(|line| line["agrees"] == true));
}

#[test]
fn evidence_in_files_is_explained() {
    let Some(vectors) = vectors() else {
        return;
    };
    let place = Place::new();
    let file = |name: &str| vectors.join(name).to_str().unwrap().to_owned();
    let (report, vcek) = (
        file("snp/oak/genoa-v5.report.bin"),
        file("snp/oak/genoa-v5.vcek.der"),
    );
    let verify = |more: &[&str]| place.run(["verify"].iter().chain(more));
    verify(&[&report, &vcek])
        .expect(0)
        .prints("genuine under policy evidence");
    // Another program than the owner's Keep image runs in there.
    verify(&[&report, &vcek, "--policy", "standard"])
        .expect(121)
        .prints("FAIL  measurement");
    verify(&[&report]).expect(119).prints("collateral missing");
    verify(&[&report, &file("snp/oak/milan-v3.vcek.der")])
        .expect(120)
        .prints("not genuine");
    verify(&[&file("cases.json")])
        .expect(118)
        .says("is JSON of");
    verify(&["absent"]).expect(125).says("cannot read absent");
    let mut damaged = std::fs::read(&report).unwrap();
    damaged[0x90] ^= 1;
    place.file("damaged", damaged);
    verify(&["damaged", &vcek])
        .expect(120)
        .prints("the report's signature does not verify");
    let json = verify(&[&report, &vcek, "--json"]).expect(0);
    let json: Value = serde_json::from_str(json.text()).unwrap();
    assert_eq!(json["level"], "genuine");
    assert_eq!(json["evidence"]["product"], "Genoa");
    let data = json["evidence"]["report_data"].as_str().unwrap();
    verify(&[&report, &vcek, "--nonce", &data[..64]]).expect(0);
    verify(&[&report, &vcek, "--nonce", "00"])
        .expect(121)
        .prints("report data");
    verify(&[&report, &vcek, "--now", "2020-01-01T00:00:00Z"])
        .expect(120)
        .prints("not valid yet");
    verify(&[&report, &vcek, "--now", "yesterday"]).expect(125);
}

#[test]
fn several_devices_have_one_verdict() {
    let Some(vectors) = vectors() else {
        return;
    };
    let place = Place::new();
    let file = |name: &str| {
        vectors
            .join("nvidia")
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    let [first, second] = ["trustee/hopper-550", "attestation-sdk/hopper-535"];
    let files = |name: &str| [".report.txt", ".certs.txt"].map(|end| file(&format!("{name}{end}")));
    let ([one, chain], [other, other_chain]) = (files(first), files(second));
    let verify = |more: &[&str]| place.run(["verify"].iter().chain(more));
    // Whose chain is whose is told by the signatures.
    let both = [&*other_chain, &one, &other, &chain];
    verify(&both).expect(0).prints("device 2 of 2");
    let json = verify(&[&both[..], &["--json"]].concat()).expect(0);
    let json: Value = serde_json::from_str(json.text()).unwrap();
    assert_eq!(json["level"], "genuine");
    let machines: Vec<_> = json["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["evidence"]["machine"].as_str().unwrap())
        .collect();
    assert_eq!(machines.len(), 2);
    assert_ne!(machines[0], machines[1]);
    // One without its chain, and one that stands for two.
    verify(&both[1..])
        .expect(120)
        .prints("not signed by the key of any certificate");
    verify(&[&one, &chain, &one])
        .expect(120)
        .prints("the same device");
    // A nonce is for all of them.
    let nonce = json["devices"][0]["evidence"]["report_data"].as_str();
    verify(&[&both[..], &["--nonce", nonce.unwrap()]].concat())
        .expect(121)
        .prints("FAIL  report data");
}

#[test]
fn host_keys_are_no_evidence() {
    let Some(vectors) = vectors() else {
        return;
    };
    let place = Place::new();
    let folder = vectors.join("ibm-se/s390-tools");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let [ibm, authority, ibm_list, list, root] = [
        "ibm.crt",
        "inter_ca.crt",
        "ibm.crl",
        "inter_ca.crl",
        "root_ca.chained.crt",
    ]
    .map(file);
    let verify = |host_key: &str, more: &[&str]| {
        let files = [
            "verify",
            host_key,
            &ibm,
            &authority,
            &ibm_list,
            &list,
            "--now",
            "2024-06-01T00:00:00Z",
        ];
        place.run(files.iter().chain(more))
    };
    verify(&file("host.crt"), &["--host-key-root", &root])
        .expect(118)
        .prints("attests nothing of what runs there");
    verify(&file("host_rev.crt"), &["--host-key-root", &root])
        .expect(120)
        .prints("revoked");
    verify(&file("host.crt"), &[&root])
        .expect(120)
        .prints("none that you named");
    verify(&file("host.crt"), &["--host-key-root", &list])
        .expect(125)
        .says("holds no root");
}

#[test]
fn collateral_is_chosen_from_a_folder() {
    let Some(vectors) = vectors() else {
        return;
    };
    let place = Place::new();
    let file = |name: &str| vectors.join(name).to_str().unwrap().to_owned();
    let quote = file("tdx/dcap-qvl/tdx_quote-f1c85033.quote.bin");
    let folder = file("intel-collateral/share");
    let verify = |more: &[&str]| place.run(["verify", &quote].iter().chain(more));
    verify(&["-c", &folder, "--now", "2025-07-04T10:16:31Z"])
        .expect(0)
        .prints("UpToDate");
    // Between two issues of the collateral there is none that holds.
    verify(&["-c", &folder, "--now", "2025-08-04T10:16:31Z"])
        .expect(119)
        .prints("collateral missing");
    // A year later Intel knows more.
    verify(&["-c", &folder, "--now", "2026-08-28T05:21:24Z"])
        .expect(121)
        .prints("FAIL  TCB status");
    verify(&[]).expect(119).prints("TCB info");
}

/// Serves the collateral of one TDX platform as Intel's service does, as long as the test
/// runs; gives the base URL.
fn intel_service(vectors: &Path) -> String {
    let folder = vectors.join("intel-collateral/share");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let chain: String = ["tcb-signing-20250506-c0575e.der", "intel-sgx-root-ca.der"]
        .map(|name| STANDARD.encode(read(name)))
        .map(|der| format!("-----BEGIN CERTIFICATE-----%0A{der}%0A-----END CERTIFICATE-----%0A"))
        .concat();
    let answer = |header: &'static str, name: &str| {
        let (chain, body) = (chain.clone(), read(name));
        get(async move || ([(header, chain)], body))
    };
    let router = Router::new()
        .route(
            "/tdx/certification/v4/tcb",
            answer(
                "tcb-info-issuer-chain",
                "tcbinfo-TDX-b0c06f000000-v3-eval17-20250619-49ce05.json",
            ),
        )
        .route(
            "/tdx/certification/v4/qe/identity",
            answer(
                "sgx-enclave-identity-issuer-chain",
                "TD_QE-identity-eval17-20250619-cefb59.json",
            ),
        )
        .route(
            "/sgx/certification/v4/pckcrl",
            answer("sgx-pck-crl-issuer-chain", "crl-plat-20250619-e583e9.der"),
        )
        .route(
            "/IntelSGXRootCA.der",
            answer("unused", "crl-root-20250320-ad6f3f.der"),
        );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    base
}

#[test]
fn collateral_is_fetched_kept_and_carried() {
    let Some(vectors) = vectors() else {
        return;
    };
    let service = intel_service(&vectors);
    let place = Place::new();
    let run = |cache: &str, arguments: &[&str]| {
        let cache = place.path().join(cache);
        let mut command = place.enarx(arguments);
        Finished::from(command.env("XDG_CACHE_HOME", cache).output().unwrap())
    };
    let quote = vectors.join("tdx/dcap-qvl/tdx_quote-f1c85033.quote.bin");
    let verify = [
        "verify",
        quote.to_str().unwrap(),
        "--now",
        "2025-07-04T10:16:31Z",
    ];
    let with = |more: &[&'static str]| [&verify[..], more].concat();
    run("online", &verify).expect(119).prints("TCB info");
    let services = [
        "--fetch",
        "--intel-service",
        &service,
        "--intel-root-service",
        &service,
    ];
    run("online", &[&verify[..], &services].concat())
        .expect(0)
        .prints("UpToDate");
    // Now it is kept.
    run("online", &verify).expect(0).prints("UpToDate");
    let listed = run("online", &["collateral", "list", "--json"]).expect(0);
    let listed: Value = serde_json::from_str(listed.text()).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 4);
    run("online", &["collateral", "list"])
        .expect(0)
        .prints("tdx-certification-v4-qe-identity");
    run("online", &["collateral", "export", "bundle"])
        .expect(0)
        .prints("exported 4 documents");

    // To a machine without a network: the file itself, or what it leaves there.
    run("offline", &verify).expect(119);
    run("offline", &with(&["-c", "bundle"])).expect(0);
    run("offline", &verify).expect(119);
    run("offline", &["collateral", "import", "bundle"])
        .expect(0)
        .prints("imported 4 documents");
    run("offline", &verify).expect(0);
    run("offline", &["collateral", "import", "bundle"])
        .expect(0)
        .prints("imported 0 documents");
    run("offline", &["collateral", "clear"])
        .expect(0)
        .prints("removed 4 documents");
    run("offline", &verify).expect(119);
    place.file("other", "something else");
    run("offline", &["collateral", "import", "other"])
        .expect(125)
        .says("enarx collateral export");
}

#[test]
fn attesting_alone_leaves_nothing_but_the_evidence() {
    let place = Place::new();
    let attest = |more: &[&str]| place.run(["attest", "--to", "local"].iter().chain(more));
    attest(&["--simulate", "--save", "kept"])
        .expect(0)
        .prints("simulated under policy simulation")
        .says("nothing protects such a Keep");
    let files = ["report.bin", "vcek.der", "ask.der", "ark.der"].map(|name| format!("kept/{name}"));
    let verify = |more: &[&str]| {
        let files = files.iter().map(String::as_str);
        place.run(
            ["verify"]
                .into_iter()
                .chain(files)
                .chain(more.iter().copied()),
        )
    };
    verify(&["--policy", "simulation"]).expect(0);
    // All of them in a folder, with what lies beside them in configfs-tsm.
    place.file("kept/provider", "sev_guest\n");
    place.file("kept/generation", "1\n");
    place
        .run(["verify", "kept", "--policy", "simulation"])
        .expect(0);
    place.run(["verify", "nowhere"]).expect(125);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place
        .run(["verify", "empty"])
        .expect(118)
        .prints("no evidence");
    verify(&[]).expect(120).prints("not a trust anchor");
    place.file("strict.toml", "simulation = \"deny\"\n");
    attest(&["--simulate", "--policy", "strict.toml", "--save", "refused"])
        .expect(121)
        .says("trust anchor");
    assert!(place.path().join("refused/report.bin").is_file());
    attest(&[]).expect(125).says("no TEE");
}

#[test]
fn results_leave_in_the_common_form() {
    let place = Place::new();
    place
        .run(["attest", "--to", "local", "--simulate", "--save", "kept"])
        .expect(0);
    if !make_keys(&place) {
        return;
    }
    let verify = |more: &[&str]| {
        let files = [
            "kept/report.bin",
            "kept/vcek.der",
            "kept/ask.der",
            "kept/ark.der",
        ];
        let policy = ["--policy", "simulation", "--ear", "result"];
        place.run(["verify"].iter().chain(&files).chain(&policy).chain(more))
    };
    verify(&["--ear-key", "key.pem"]).expect(0);
    let token = std::fs::read_to_string(place.path().join("result")).unwrap();
    assert_eq!(token.split('.').count(), 3);
    verify(&["--ear-key", "key.pem", "--ear-form", "cwt"]).expect(0);
    verify(&[]).expect(125).says("--ear-key");
    verify(&["--ear-key", "kept/report.bin"]).expect(125);
}

/// Makes a pair of keys, `key.pem` and `public.pem`; says so when it cannot.
fn make_keys(place: &Place) -> bool {
    let openssl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        command.current_dir(place.path()).args(arguments).output()
    };
    let curve = "ec_paramgen_curve:P-256";
    let made = openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        curve,
        "-out",
        "key.pem",
    ]);
    if made.is_err() {
        println!("SKIPPED: no openssl to make a key with");
        return false;
    }
    let public = openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    assert!(public.unwrap().status.success());
    true
}

#[test]
fn reference_values_travel_in_the_common_form() {
    let place = Place::new();
    place.file(
        "policy.toml",
        "simulation = \"allow\"\nmeasurements = [\"reference-values\"]\n",
    );
    let attest = |more: &[&str]| {
        let simulated = ["attest", "--to", "local", "--simulate", "--policy"];
        place.run(simulated.iter().chain(more))
    };
    place.run(["measure", "--corim", "keep.corim"]).expect(0);
    attest(&["policy.toml", "--reference-values", "keep.corim"]).expect(0);
    attest(&["policy.toml"])
        .expect(121)
        .prints("none were given");
    attest(&["simulation", "--reference-values", "keep.corim"]).expect(125);
    // Another memory size is another measurement.
    place
        .run(["measure", "--keep-memory", "2GiB", "--corim", "other.corim"])
        .expect(0);
    attest(&["policy.toml", "--reference-values", "other.corim"]).expect(121);
    attest(&["policy.toml", "--reference-values", "policy.toml"])
        .expect(125)
        .says("CoRIM");

    if !make_keys(&place) {
        return;
    }
    let signed = ["--corim", "signed.corim", "--corim-key", "key.pem"];
    let measure = |more: &[&'static str]| place.run([&["measure"], &signed[..], more].concat());
    measure(&[]).expect(125).says("--corim-signer");
    measure(&["--corim-signer", "https://owner.example"]).expect(0);
    let values = ["policy.toml", "--reference-values", "signed.corim"];
    attest(&values).expect(125).says("--reference-key");
    attest(&[&values[..], &["--reference-key", "public.pem"]].concat()).expect(0);
    attest(&[
        "policy.toml",
        "--reference-values",
        "keep.corim",
        "--reference-key",
        "public.pem",
    ])
    .expect(125)
    .says("not signed");
    // A manifest that another key signed is nobody's.
    std::fs::rename(place.path().join("signed.corim"), place.path().join("old")).unwrap();
    assert!(make_keys(&place));
    attest(&[
        "policy.toml",
        "--reference-values",
        "old",
        "--reference-key",
        "public.pem",
    ])
    .expect(125)
    .says("did not sign");
}

#[test]
fn policies_are_explained() {
    let place = Place::new();
    place
        .run(["policy", "explain", "standard"])
        .expect(0)
        .prints("The processor is one of: Genoa, Turin, sgx, tdx, cca.");
    let schema = place.run(["policy", "schema"]).expect(0);
    let schema: Value = serde_json::from_str(schema.text()).unwrap();
    assert!(schema["properties"]["tcb_statuses"].is_object());
    place
        .run(["policy", "explain", "absent"])
        .expect(125)
        .says("absent");
}
