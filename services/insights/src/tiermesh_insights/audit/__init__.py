"""The audit: a sample of tier-1 answers judged anew, and what routing saved for what it cost."""
