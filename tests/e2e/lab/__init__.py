# SPDX-License-Identifier: Apache-2.0
"""Real peers in network namespaces. README.md has the reading order."""
