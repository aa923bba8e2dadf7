//! Keeps in a confidential VM, beside a stand-in for the kernel's interface for reports. The
//! reports in it are of simulated processors.

mod configfs;
mod intel_service;
mod keeps;
mod reports;
mod simulated;
