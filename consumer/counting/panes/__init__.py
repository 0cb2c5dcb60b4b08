"""Values become cells, cells become panes, panes become roll-ups. Pure."""
