"""From run folders to a comparison: outcomes, variants, standings, requirements. No drawing."""
