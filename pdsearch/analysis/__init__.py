"""Analysis of a study from its folder of records alone: tables, rankings, Pareto fronts, reports."""
