"""What the newsroom publishes: drafts, checks, disclosures, revisions and corrections."""
