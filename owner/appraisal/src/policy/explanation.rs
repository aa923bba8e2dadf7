//! What a policy demands, in sentences.

use crate::{AcceptedMeasurement, MinimumSnpTcb, Permission, Policy, Revocation};

impl Policy {
    /// What the policy demands, a sentence for each demand.
    #[must_use]
    pub fn explain(&self) -> Vec<String> {
        let mut sentences = vec![
            self.explain_anchor(),
            format!(
                "One of these technologies vouches for the Keep: {}.",
                join(&self.technologies)
            ),
            format!(
                "The Keep is of one of these kinds: {}.",
                join(&self.platforms)
            ),
        ];
        if let Some(products) = &self.products {
            sentences.push(format!("The processor is one of: {}.", join(products)));
        }
        sentences.push(self.explain_measurements());
        sentences.push(match self.debug {
            Permission::Deny => "The host cannot look into the Keep.".to_owned(),
            Permission::Allow => "The host may look into the Keep: nothing is secret.".to_owned(),
        });
        sentences.push("No migration agent can move the Keep to another machine.".to_owned());
        sentences.extend(self.explain_snp());
        sentences.push(format!(
            "Of an SGX or TDX platform Intel says one of: {}.",
            self.tcb_statuses
                .iter()
                .map(|status| status.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ));
        match self.advisories.as_deref() {
            None => {}
            Some([]) => sentences.push("No advisory of Intel's applies to it.".to_owned()),
            Some(accepted) => sentences.push(format!(
                "No advisory of Intel's applies to it but {}.",
                join(accepted)
            )),
        }
        sentences.push(match self.revocation {
            Revocation::Demand => "Revocation lists were looked at.".to_owned(),
            Revocation::IfAvailable => {
                "Revocation lists are looked at when they are given.".to_owned()
            }
        });
        if let Some(days) = self.maximum_collateral_age {
            sentences.push(format!("Collateral is less than {days} days old."));
        }
        if let Some(machines) = &self.machines {
            sentences.push(format!(
                "The machine is one of: {}.",
                join(machines.iter().map(hex::encode))
            ));
        }
        if let Some(data) = &self.host_data {
            sentences.push(format!(
                "The host launched the Keep with the data {}.",
                hex::encode(data)
            ));
        }
        sentences.extend(self.explain_rules());
        sentences
    }

    fn explain_anchor(&self) -> String {
        match (self.simulation, &self.simulation_roots) {
            (Permission::Deny, _) => "Real hardware signed the evidence.".to_owned(),
            (Permission::Allow, None) => {
                "Real hardware or ANY SIMULATOR signed the evidence; a simulator protects nothing."
                    .to_owned()
            }
            (Permission::Allow, Some(roots)) => format!(
                "Real hardware or one of these simulators signed the evidence; a simulator \
                 protects nothing: {}.",
                join(roots.iter().map(hex::encode))
            ),
        }
    }

    fn explain_measurements(&self) -> String {
        let texts = self.measurements.iter().map(|one| match one {
            AcceptedMeasurement::KeepImage => "the owner's own Keep image".to_owned(),
            AcceptedMeasurement::Value(value) => hex::encode(value),
            AcceptedMeasurement::ReferenceValues => {
                "what a manifest of reference values names".to_owned()
            }
            AcceptedMeasurement::Any => "ANYTHING AT ALL".to_owned(),
        });
        format!("The Keep was loaded with one of: {}.", join(texts))
    }

    fn explain_snp(&self) -> Vec<String> {
        let minimum = &self.minimum_tcb.snp;
        let mut sentences = vec![format!(
            "On SEV-SNP the Keep runs at privilege level {} or a higher privilege.",
            self.maximum_vmpl
        )];
        for (kind, minimum) in [
            ("endorsed and at launch", &minimum.every),
            ("endorsed", &minimum.reported),
            ("committed", &minimum.committed),
            ("current", &minimum.current),
            ("at launch", &minimum.launch),
        ] {
            let MinimumSnpTcb {
                fmc,
                bootloader,
                tee,
                snp,
                microcode,
            } = *minimum;
            for (part, version) in [
                ("fmc", fmc),
                ("bootloader", bootloader),
                ("tee", tee),
                ("snp", snp),
                ("microcode", microcode),
            ] {
                if let Some(version) = version {
                    sentences.push(format!(
                        "On SEV-SNP the security version of {part}, {kind}, is at least {version}."
                    ));
                }
            }
        }
        sentences
    }

    fn explain_rules(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for (technology, rules) in &self.rules {
            let on = rules.required_flags.iter().map(|name| (name, "on"));
            let off = rules.forbidden_flags.iter().map(|name| (name, "off"));
            for (name, state) in on.chain(off) {
                sentences.push(format!("In {technology} evidence, {name} is {state}."));
            }
            for (name, minimum) in &rules.minimum {
                sentences.push(format!(
                    "In {technology} evidence, {name} is at least {minimum}."
                ));
            }
            for (name, numbers) in &rules.numbers {
                sentences.push(format!(
                    "In {technology} evidence, {name} is one of: {}.",
                    join(numbers)
                ));
            }
            for (name, values) in &rules.values {
                sentences.push(format!(
                    "In {technology} evidence, {name} is one of: {}.",
                    join(values.iter().map(hex::encode))
                ));
            }
        }
        sentences
    }
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    texts.join(", ")
}
